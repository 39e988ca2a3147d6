import { Inject, Injectable } from '@nestjs/common';
import { toBuffer, toString as toSvg } from 'qrcode';
import { CONFIG, Config } from '../../config';
import { newTotpSecret, totpSecretText, totpStep, totpUri } from '../../crypto';
import { Clock, DomainError, MINUTE, retryOnStaleKey, SecretBytes, StaleKeyVersionError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { UserDoc, Users } from '../../users';
import { withoutPending, withoutTotp, withTwoFactor } from './factor-fields';
import { openTotpSecret, sealTotpSecret } from './totp-secret';

/** A secret that is not confirmed by then is forgotten. */
export const PENDING_MS = 15 * MINUTE;
const REPLACE_ATTEMPTS = 5;

export interface TotpEnrolment {
  /** Base32, for typing in. */
  readonly secret: string;
  readonly otpauth_uri: string;
  readonly qr_svg: string;
}

/** Time-based codes of an authenticator app (RFC 6238). Each step is accepted once, by compare-and-set on the account's row. */
@Injectable()
export class TotpFactor {
  constructor(
    private readonly users: Users,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A new secret, which becomes the factor once its first code has confirmed it. A former one holds until then. */
  async begin(userId: string): Promise<TotpEnrolment> {
    const secret = newTotpSecret();
    try {
      const user = await this.#storePending(userId, secret);
      const uri = totpUri(secret, this.#label(user));
      return { secret: totpSecretText(secret), otpauth_uri: uri, qr_svg: await toSvg(uri, { type: 'svg' }) };
    } finally {
      secret.destroy();
    }
  }

  /** The QR code of the pending secret, PNG. @throws DomainError `not_found` where none is pending. */
  qrCode(userId: string): Promise<Buffer> {
    return retryOnStaleKey(async () => {
      const { user, sealed } = await this.#pending(userId);
      const draw = (secret: SecretBytes) => toBuffer(totpUri(secret, this.#label(user)), { type: 'png' });
      return this.#withSecret(userId, sealed, draw);
    });
  }

  /** Does this code confirm the pending secret? Then it is the factor. @throws DomainError `not_found` where none is pending. */
  async confirm(userId: string, code: string): Promise<boolean> {
    for (let tries = 0; tries < REPLACE_ATTEMPTS; tries += 1) {
      const { sealed } = await this.#pending(userId);
      const step = await this.#stepOf(userId, sealed, code, undefined);
      if (step === undefined) return false;
      if (await this.#confirmed(userId, sealed, step)) return true;
      // Another enrolment, which this code does not fit, or the same secret under a new version of the user's key.
    }
    return false;
  }

  async #confirmed(userId: string, sealed: string, step: number): Promise<boolean> {
    let confirmed = false;
    await this.users.change(userId, (user) => {
      confirmed = user.totp_pending === sealed;
      if (!confirmed) return undefined;
      return withTwoFactor({ ...withoutPending(user), totp_secret: sealed, totp_last_step: step });
    });
    return confirmed;
  }

  /** Takes the step of this code. True for exactly one caller, however many present it and whatever the clock does. */
  async accept(user: UserDoc, code: string): Promise<boolean> {
    const step = await this.#acceptableStep(user, code);
    if (step === undefined) return false;
    let accepted = false;
    await this.users.change(user._id, (row) => {
      accepted = row.totp_secret !== undefined && row.totp_last_step < step;
      return accepted ? { ...row, totp_last_step: step } : undefined;
    });
    return accepted;
  }

  /** The account may have been read before its secret was sealed again, and the version that it names be gone: then it is read anew. */
  async #acceptableStep(user: UserDoc | undefined, code: string): Promise<number | undefined> {
    if (user?.totp_secret === undefined) return undefined;
    try {
      return await this.#stepOf(user._id, user.totp_secret, code, user.totp_last_step);
    } catch (error) {
      if (!(error instanceof StaleKeyVersionError)) throw error;
      const now = await this.users.byId(user._id);
      if (now?.totp_secret === user.totp_secret) throw error;
      return this.#acceptableStep(now, code);
    }
  }

  /** Removes the factor and a secret that waits for its first code; says which of them there was. */
  async remove(userId: string): Promise<'factor' | 'pending' | 'nothing'> {
    let had: 'factor' | 'pending' | 'nothing' = 'nothing';
    await this.users.change(userId, (user) => {
      had = user.totp_secret !== undefined ? 'factor' : user.totp_pending !== undefined ? 'pending' : 'nothing';
      return had === 'nothing' ? undefined : withTwoFactor(withoutTotp(user));
    });
    return had;
  }

  /** Is a secret waiting for its first code? */
  isPending(user: UserDoc): boolean {
    if (user.totp_pending === undefined || user.totp_pending_at === undefined) return false;
    return Math.abs(this.clock.now() - user.totp_pending_at) < PENDING_MS;
  }

  /** The row is read before the key row, and replaced only as it was read: no wrap protocol needed (Sealer). */
  async #storePending(userId: string, secret: SecretBytes): Promise<UserDoc> {
    for (let tries = 0; tries < REPLACE_ATTEMPTS; tries += 1) {
      const user = await this.users.byId(userId);
      if (user === undefined) throw new DomainError('invalid_session');
      const totp_pending = await this.sealer.with(userId, (keys) => sealTotpSecret(keys, secret));
      const stored = await this.users.replace({ ...user, totp_pending, totp_pending_at: this.clock.now() });
      if (stored !== undefined) return stored;
    }
    throw new DomainError('conflict', { detail: 'Concurrent changes to this account. Retry.' });
  }

  async #pending(userId: string): Promise<{ user: UserDoc; sealed: string }> {
    const user = await this.users.byId(userId);
    if (user?.totp_pending === undefined || !this.isPending(user)) {
      throw new DomainError('not_found', { detail: 'No TOTP secret waits for confirmation.' });
    }
    return { user, sealed: user.totp_pending };
  }

  #stepOf(userId: string, sealed: string, code: string, lastStep: number | undefined): Promise<number | undefined> {
    return this.#withSecret(userId, sealed, (secret) => totpStep(secret, code, this.clock.now(), lastStep));
  }

  /** An app keeps one entry a label: with the host, those of two installations stay apart. A colon would end the issuer's name. */
  #label({ username }: UserDoc): string {
    const { hostname } = new URL(this.config.http.publicUrl);
    return `${username}@${hostname.replace(/[[\]]/g, '').replaceAll(':', '-')}`;
  }

  async #withSecret<T>(userId: string, sealed: string, use: (secret: SecretBytes) => T | Promise<T>): Promise<T> {
    const secret = await this.sealer.with(userId, (keys) => openTotpSecret(keys, sealed));
    try {
      return await use(secret);
    } finally {
      secret.destroy();
    }
  }
}
