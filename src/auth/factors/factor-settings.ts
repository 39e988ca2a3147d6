import { Injectable } from '@nestjs/common';
import { audited, AuditAction, AuditSink, DomainError, Principal } from '../../kernel';
import { EnrolmentProof } from './enrolment-proof';
import { FactorNotices } from './factor-notices';
import { EmailFactor } from './email-factor';
import { RecoveryCodes } from './recovery-codes';
import { TotpEnrolment, TotpFactor } from './totp-factor';

/** What people change about their second factors. Each change is told to the account's address. */
@Injectable()
export class FactorSettings {
  constructor(
    private readonly totp: TotpFactor,
    private readonly mailboxes: EmailFactor,
    private readonly recoveryCodes: RecoveryCodes,
    private readonly enrolment: EnrolmentProof,
    private readonly notices: FactorNotices,
    private readonly audit: AuditSink,
  ) {}

  beginTotp(caller: Principal): Promise<TotpEnrolment> {
    return this.#act('factor.totp-begin', caller, () => this.totp.begin(caller.userId));
  }

  totpQrCode(caller: Principal): Promise<Buffer> {
    return this.totp.qrCode(caller.userId);
  }

  /** @throws DomainError `otp_failed`, `too_many_attempts`, `not_found` where none is pending. */
  confirmTotp(caller: Principal, otp: string): Promise<void> {
    return this.#act('factor.totp-on', caller, async () => {
      await this.enrolment.totpSecret(caller, otp);
      await this.notices.tellOwner(caller.userId, 'totp-added');
    });
  }

  /** @throws DomainError `not_found` where there is none. */
  removeTotp(caller: Principal): Promise<void> {
    return this.#act('factor.totp-off', caller, async () => {
      const removed = await this.totp.remove(caller.userId);
      if (removed === 'nothing') throw new DomainError('not_found');
      if (removed === 'factor') await this.notices.tellOwner(caller.userId, 'totp-removed');
    });
  }

  /** @throws DomainError `not_found` where it is off. */
  removeEmail(caller: Principal): Promise<void> {
    return this.#act('factor.email-off', caller, async () => {
      if (!(await this.mailboxes.turnOff(caller.userId))) throw new DomainError('not_found');
    });
  }

  replaceRecoveryCodes(caller: Principal): Promise<string[]> {
    return this.#act('factor.recovery-codes', caller, async () => {
      const codes = await this.recoveryCodes.replace(caller.userId);
      await this.notices.tellOwner(caller.userId, 'recovery-codes-replaced');
      return codes;
    });
  }

  #act<T>(action: AuditAction, caller: Principal, act: () => Promise<T>): Promise<T> {
    const what = { action, actor: caller.userId, resource: `user/${caller.userId}` } as const;
    return audited(this.audit, { ...what, ...(action === 'factor.totp-on' && { gathers: true }) }, act);
  }
}
