import { Inject, Injectable } from '@nestjs/common';
import { toBuffer, toString as toSvg } from 'qrcode';
import { CONFIG, Config } from '../../config';
import { newTotpSecret, totpSecretText, totpStep, totpUri } from '../../crypto';
import { Clock, DomainError, MINUTE, retryOnStaleKey, SecretBytes, StaleKeyVersionError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { UserDoc, Users } from '../../users';
import { withoutPending, withoutTotp, withTwoFactor } from './factor-fields';
import { openTotpSecret, sealTotpSecret } from './totp-secret';

/** Time after which an unconfirmed secret expires. */
export const PENDING_MS = 15 * MINUTE;
const REPLACE_ATTEMPTS = 5;

export interface TotpEnrolment {
  /** Base32, for manual entry. */
  readonly secret: string;
  readonly otpauth_uri: string;
  readonly qr_svg: string;
}

/**
 * Time-based codes of an authenticator app (RFC 6238). A compare-and-set on the account's row
 * accepts each step once.
 */
@Injectable()
export class TotpFactor {
  constructor(
    private readonly users: Users,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Creates a secret, which becomes the factor when its first code confirms it. An existing factor
   * stays valid until then.
   */
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

  /**
   * Returns the QR code of the pending secret as PNG.
   * @throws DomainError `not_found` if no secret is pending
   */
  qrCode(userId: string): Promise<Buffer> {
    return retryOnStaleKey(async () => {
      const { user, sealed } = await this.#pending(userId);
      const draw = (secret: SecretBytes) => toBuffer(totpUri(secret, this.#label(user)), { type: 'png' });
      return this.#withSecret(userId, sealed, draw);
    });
  }

  /**
   * Makes the pending secret the factor if the code matches it.
   * @throws DomainError `not_found` if no secret is pending
   */
  async confirm(userId: string, code: string): Promise<boolean> {
    for (let tries = 0; tries < REPLACE_ATTEMPTS; tries += 1) {
      const { sealed } = await this.#pending(userId);
      const step = await this.#stepOf(userId, sealed, code, undefined);
      if (step === undefined) return false;
      if (await this.#confirmed(userId, sealed, step)) return true;
      // Either another enrolment, which this code does not match, or the same secret under a new
      // version of the user's key.
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

  /**
   * Uses the step of this code. Returns true to exactly one caller, with any concurrency and clock.
   */
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

  /**
   * The account may have been read before its secret was re-encrypted, and that key version may be
   * gone; the account is then read again.
   */
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

  /** Removes the factor and a pending secret; returns which of them existed. */
  async remove(userId: string): Promise<'factor' | 'pending' | 'nothing'> {
    let had: 'factor' | 'pending' | 'nothing' = 'nothing';
    await this.users.change(userId, (user) => {
      had = user.totp_secret !== undefined ? 'factor' : user.totp_pending !== undefined ? 'pending' : 'nothing';
      return had === 'nothing' ? undefined : withTwoFactor(withoutTotp(user));
    });
    return had;
  }

  /** True if a secret waits for its first code. */
  isPending(user: UserDoc): boolean {
    if (user.totp_pending === undefined || user.totp_pending_at === undefined) return false;
    return Math.abs(this.clock.now() - user.totp_pending_at) < PENDING_MS;
  }

  /**
   * The row is read before the key row and replaced only unchanged, so the wrap protocol of Sealer
   * is not needed.
   */
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

  /**
   * An app stores one entry for each label; the host separates two installations. A colon would end
   * the issuer's name.
   */
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
