import { Injectable, Optional } from '@nestjs/common';
import { Clock, HOUR } from '../../kernel';
import { MailDelayed } from '../../mail';
import { Metrics } from '../../observability';
import {
  attempt,
  budget,
  BudgetCounts,
  Checked,
  CounterStore,
  lockout,
  LockoutCounts,
  NO_FAILURES,
  KeyedMutex,
  requireAdmission,
  SECOND_FACTOR_LIMITS,
  tooManyAttempts,
} from '../../users';
import { CODES as COUNTED_CODES, countingLockouts, PASSWORDS } from './counted-lockouts';
import { allowance } from './mail-allowance';
import { SessionDoc } from '../sessions/session.collection';
import { Sessions } from '../sessions/sessions';

const CODES = budget(SECOND_FACTOR_LIMITS);
/**
 * Half of the account's allowance, so that the holder of an access token leaves the account mails
 * for its login.
 */
const MAILS = { limit: 5, windowMs: HOUR };

const NO_CODES: BudgetCounts = { failures: [], reservations: [] };

/**
 * Attempts with an access token, counted on the session's row. A stolen token cannot exhaust the
 * account's counts, and attempts by strangers on the account do not block a session.
 */
@Injectable()
export class SessionAttempts {
  readonly #queue = new KeyedMutex();

  constructor(
    private readonly sessions: Sessions,
    private readonly clock: Clock,
    @Optional() private readonly metrics?: Metrics,
  ) {}

  /**
   * Runs one password attempt.
   * @throws as `attempt`; DomainError `invalid_session`
   */
  password<T>(sessionId: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(lockout, this.#passwords(sessionId), this.clock, check);
  }

  /**
   * Rejects what `password` would reject.
   * @throws DomainError `too_many_attempts`, `invalid_session`
   */
  requireUnlocked(sessionId: string): Promise<void> {
    return requireAdmission(lockout, this.#passwords(sessionId), this.clock);
  }

  /**
   * Runs one attempt with a code that enables a factor.
   * @throws as `password`
   */
  code<T>(sessionId: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(CODES, this.#codes(sessionId), this.clock, check);
  }

  /**
   * Runs `send` if the session's allowance permits another mail. A failed mail does not count.
   * @throws DomainError `too_many_attempts`
   */
  async mail(sessionId: string, send: () => Promise<void>): Promise<void> {
    await this.#change(sessionId, ({ code_mails = [] }) => {
      const { waitMs } = allowance(code_mails, MAILS, this.clock.now());
      if (waitMs > 0) throw tooManyAttempts(waitMs);
      return undefined;
    });
    // A challenge sends at most one mail a minute, so concurrent requests do not send several.
    try {
      await send();
    } catch (error) {
      if (error instanceof MailDelayed) await this.#countMail(sessionId);
      throw error;
    }
    await this.#countMail(sessionId);
  }

  #countMail(sessionId: string): Promise<void> {
    return this.#change(sessionId, (session) => ({
      ...session,
      code_mails: allowance(session.code_mails ?? [], MAILS, this.clock.now()).times,
    }));
  }

  #passwords(sessionId: string): CounterStore<LockoutCounts> {
    const ledger: CounterStore<LockoutCounts> = {
      change: (edit) =>
        this.#change(sessionId, (session) => {
          const password_attempts = edit(session.password_attempts ?? NO_FAILURES);
          return password_attempts && { ...session, password_attempts };
        }),
    };
    return countingLockouts(ledger, PASSWORDS, 'session_password', this.metrics);
  }

  #codes(sessionId: string): CounterStore<BudgetCounts> {
    const ledger: CounterStore<BudgetCounts> = {
      change: (edit) =>
        this.#change(sessionId, (session) => {
          const code_attempts = edit(session.code_attempts ?? NO_CODES);
          return code_attempts && { ...session, code_attempts };
        }),
    };
    return countingLockouts(ledger, COUNTED_CODES, 'session_code', this.metrics);
  }

  #change(sessionId: string, edit: (session: SessionDoc) => SessionDoc | undefined): Promise<void> {
    return this.#queue.run(sessionId, () => this.sessions.change(sessionId, edit));
  }
}
