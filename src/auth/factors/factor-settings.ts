import { Injectable } from '@nestjs/common';
import { audited, AuditAction, AuditSink, DomainError, Person } from '../../kernel';
import { EnrolmentProof } from './enrolment-proof';
import { FactorNotices } from './factor-notices';
import { EmailFactor } from './email-factor';
import { RecoveryCodes } from './recovery-codes';
import { TotpEnrolment, TotpFactor } from './totp-factor';

/** Changes of second factors. The account's owner is notified of each change by mail. */
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

  beginTotp(caller: Person): Promise<TotpEnrolment> {
    return this.#act('factor.totp-begin', caller, () => this.totp.begin(caller.ownerId));
  }

  totpQrCode(caller: Person): Promise<Buffer> {
    return this.totp.qrCode(caller.ownerId);
  }

  /** @throws DomainError `otp_failed`, `too_many_attempts`, `not_found` if no secret is pending */
  confirmTotp(caller: Person, otp: string): Promise<void> {
    return this.#act('factor.totp-on', caller, async () => {
      await this.enrolment.totpSecret(caller, otp);
      await this.notices.tellOwner(caller.ownerId, 'totp-added');
    });
  }

  /** @throws DomainError `not_found` if there is none */
  removeTotp(caller: Person): Promise<void> {
    return this.#act('factor.totp-off', caller, async () => {
      const removed = await this.totp.remove(caller.ownerId);
      if (removed === 'nothing') throw new DomainError('not_found');
      if (removed === 'factor') await this.notices.tellOwner(caller.ownerId, 'totp-removed');
    });
  }

  /** @throws DomainError `not_found` if it is not enabled */
  removeEmail(caller: Person): Promise<void> {
    return this.#act('factor.email-off', caller, async () => {
      if (!(await this.mailboxes.turnOff(caller.ownerId))) throw new DomainError('not_found');
    });
  }

  replaceRecoveryCodes(caller: Person): Promise<string[]> {
    return this.#act('factor.recovery-codes', caller, async () => {
      const codes = await this.recoveryCodes.replace(caller.ownerId);
      await this.notices.tellOwner(caller.ownerId, 'recovery-codes-replaced');
      return codes;
    });
  }

  #act<T>(action: AuditAction, caller: Person, act: () => Promise<T>): Promise<T> {
    const what = { action, actor: caller.actor, resource: `user/${caller.ownerId}` } as const;
    return audited(this.audit, { ...what, ...(action === 'factor.totp-on' && { gathers: true }) }, act);
  }
}
