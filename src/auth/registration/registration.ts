import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { audited, AuditSink, DomainError, FieldFault } from '../../kernel';
import { KeyedMutex, parseEmail, parseUsername, Users, EMAIL_FAULT } from '../../users';
import { requireStrongPassword } from '../password-rules';
import { Admission, Admissions } from './admissions';
import { NewAccounts, ParsedRegistration } from './new-accounts';
import { RequestedConfirmations } from './requested-confirmations';

export interface RegistrationInput {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  /** The code of an invitation. */
  readonly invitation?: string | undefined;
}

/** `pending`: the address must be confirmed first. */
export type RegistrationOutcome = 'registered' | 'pending';

/** Implements POST /register. */
@Injectable()
export class Registration {
  readonly #queue = new KeyedMutex();

  constructor(
    private readonly users: Users,
    private readonly admissions: Admissions,
    private readonly accounts: NewAccounts,
    private readonly confirmations: RequestedConfirmations,
    private readonly audit: AuditSink,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @throws DomainError `validation_failed`, `weak_password`, `permission_denied`, `user_exists`,
   * `kms_unavailable`
   */
  async register(input: RegistrationInput): Promise<RegistrationOutcome> {
    const parsed = parse(input);
    const { username, email, password } = parsed;
    requireStrongPassword(password, this.config.passwords.rule, { username, email: email.address });
    return audited(this.audit, { action: 'account.register', actor: 'anonymous', gathers: true }, async () => {
      const admission = await this.admissions.toRegister(email, input.invitation);
      // Of many concurrent registrations of one name, one hashes its password and the others find
      // the name taken.
      return this.#queue.run(username, () => this.#enter(parsed, admission));
    });
  }

  async #enter(parsed: ParsedRegistration, admission: Admission): Promise<RegistrationOutcome> {
    const holder = await this.users.byUsername(parsed.username);
    if (holder !== undefined) {
      await this.accounts.resume(holder, parsed, admission);
      return 'registered';
    }
    if (this.config.accounts.emailVerification === 'required' && admission.by !== 'invitation') {
      await this.confirmations.ask(parsed.username, parsed.email, parsed.password);
      return 'pending';
    }
    await this.accounts.make(parsed, admission);
    return 'registered';
  }
}

/** @throws DomainError `validation_failed` */
function parse(input: RegistrationInput): ParsedRegistration {
  const username = parseUsername(input.username);
  const email = parseEmail(input.email);
  if (username !== undefined && email !== undefined) return { username, email, password: input.password };
  const fields: FieldFault[] = [
    ...(username === undefined ? [USERNAME_FAULT] : []),
    ...(email === undefined ? [EMAIL_FAULT] : []),
  ];
  throw new DomainError('validation_failed', { fields });
}

const USERNAME_FAULT: FieldFault = {
  pointer: '/username',
  message: 'must be 3 to 64 of a-z, 0-9, ".", "_" and "-", and start with a letter or a digit',
};
