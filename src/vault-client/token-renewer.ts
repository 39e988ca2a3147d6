import { DAY, SECOND } from '../kernel';

export interface TokenLease {
  /** Seconds that the token lives from now; 0 for ever. */
  readonly seconds: number;
  readonly renewable: boolean;
}

export interface TokenSource {
  /**
   * Renews the token in use: its new lease, or undefined where Vault refuses to. Rejects where
   * Vault does not answer.
   */
  renew(): Promise<TokenLease | undefined>;
  /**
   * Gets another token in place of the one in use, if it has credentials for that, and calls
   * `watch` with it. Rejects as `renew`.
   */
  replace(): Promise<void>;
}

// Renewing early loses nothing, and setTimeout fires at once for delays beyond 24.8 days: Vault's
// default lease is 32.
const LONGEST_DELAY_MS = DAY;
const RETRY_MS = 5 * SECOND;
const SHARE_OF_LEASE = 0.6;

/**
 * Keeps one token alive. A renewal that fails is tried again until the token is dead, and a token
 * that cannot be renewed (a batch token, or one near its max_ttl, whose renewals get shorter and
 * shorter) is replaced while the old one still works.
 */
export class TokenRenewer {
  #timer: NodeJS.Timeout | undefined;
  #full = 0;
  #lease: TokenLease = { seconds: 0, renewable: false };

  constructor(private readonly source: TokenSource) {}

  /** A new token: forgets what was planned for the former one. */
  watch(lease: TokenLease): void {
    this.#full = lease.seconds;
    this.#plan(lease);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #plan(lease: TokenLease): void {
    this.#lease = lease;
    this.stop();
    if (lease.seconds > 0) this.#after(lease.seconds * SECOND * SHARE_OF_LEASE);
  }

  #after(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#tick(), Math.min(Math.max(delayMs, SECOND / 2), LONGEST_DELAY_MS));
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    try {
      if (this.#lease.renewable && (await this.#renewed())) return;
      await this.source.replace();
    } catch {
      // The source has said why. The next try may find Vault back; requests in between log in again
      // by themselves.
      this.#after(RETRY_MS);
    }
  }

  /** False where the token gets no full life any more. */
  async #renewed(): Promise<boolean> {
    const lease = await this.source.renew();
    if (lease === undefined || lease.seconds < this.#full / 2) return false;
    this.#plan(lease);
    return true;
  }
}
