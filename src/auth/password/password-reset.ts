import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, DomainError, notedIfRefused } from '../../kernel';
import { UserDoc } from '../../users';
import { requireStrongPassword } from '../password-rules';
import { Passwords } from '../passwords';
import { PasswordReplacement } from './password-replacement';
import { ProvedReset } from './password-reset-codes';
import { ResetProof } from './reset-proof';

export interface PasswordResetInput {
  readonly email: string;
  readonly code: string;
  readonly newPassword: string;
  /** A TOTP or recovery code. */
  readonly otp: string | undefined;
}

/** POST /password/reset. */
@Injectable()
export class PasswordReset {
  constructor(
    private readonly proof: ResetProof,
    private readonly passwords: Passwords,
    private readonly replacement: PasswordReplacement,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws DomainError `weak_password`, `otp_failed`, `too_many_attempts`, `overloaded`. */
  async reset(input: PasswordResetInput): Promise<void> {
    this.#requireStrong(input, { username: '', email: input.email });
    const proved = await notedIfRefused(this.audit, RESET, () => this.proof.ofMailbox(input.email, input.code));
    this.#requireStrong(input, proved.user);
    const what = { ...RESET, actor: proved.user._id, resource: `user/${proved.user._id}` };
    await audited(this.audit, what, () => this.#reset(proved, input));
  }

  /** Hashed first: where the service is too busy for that, nothing is used up. */
  async #reset(proved: ProvedReset, { newPassword, otp }: PasswordResetInput): Promise<void> {
    const { user } = proved;
    const hashed = await this.passwords.hash(newPassword, user._id);
    await this.proof.spend(proved, otp);
    if (!(await this.replacement.replace(user, { hashed, notice: 'password-reset' }))) {
      throw new DomainError('otp_failed', { detail: 'The account changed during the request. Ask for a new code.' });
    }
    await this.proof.forgetFailures(user);
  }

  #requireStrong({ newPassword }: PasswordResetInput, context: Pick<UserDoc, 'username' | 'email'>): void {
    requireStrongPassword(newPassword, this.config.passwords.rule, context, '/new_password');
  }
}

const RESET = { action: 'password.reset', actor: 'anonymous', gathers: true } as const;
