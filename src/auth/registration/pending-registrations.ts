import { Injectable } from '@nestjs/common';
import { codeMatches, oneTimeCode } from '../../crypto';
import { Clock, currentRequester, MINUTE, SystemSecrets } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { attempt, budget, BudgetCounts, Checked, EmailAddress, CounterStore, KeyedMutex, Username } from '../../users';
import { CODE_MS } from '../code-life';
import { HashedPassword } from '../passwords';
import { sameMac, tokenMac } from '../token-mac';
import {
  ConfirmationTries,
  PendingRegistrationDoc,
  pendingRegistrationsCollection,
} from './pending-registration.collection';

/** More than one address can receive within the lifetime of a registration. */
const MAX_PENDING = 20;
/**
 * For the network that registered, and the same again for all others together: strangers cannot use
 * up the tries of the registrant.
 */
const TRIES = budget({ limit: 5, windowMs: CODE_MS });
/** Minimum pause between two mails of one registration. */
const MAIL_PAUSE_MS = MINUTE;
/** A code with less remaining validity is not mailed again; a new registration gets a new code. */
const SHORTEST_MS = 2 * MINUTE;

const NO_TRIES: ConfirmationTries = {
  own: { failures: [], reservations: [] },
  others: { failures: [], reservations: [] },
};

export interface NewRegistration extends HashedPassword {
  /** Id of the future account. */
  readonly id: string;
  readonly username: Username;
  readonly email: EmailAddress;
}

/**
 * Registrations that wait for their code. Each has a separate code, derived from its id and never
 * stored, and separate tries.
 */
@Injectable()
export class PendingRegistrations {
  readonly #rows: Collection<PendingRegistrationDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(pendingRegistrationsCollection);
  }

  add({ id, username, email, hashed_password, salt }: NewRegistration): Promise<PendingRegistrationDoc> {
    const now = this.clock.now();
    return this.#rows.insert({
      _id: id,
      username,
      email: email.address,
      address: email.folded,
      hashed_password,
      salt,
      expires_at: now + CODE_MS,
      client: this.#client(id),
      mailed_at: now,
    });
  }

  /** Registrations with an address, newest first. */
  async of(address: string): Promise<readonly PendingRegistrationDoc[]> {
    const { items } = await this.#rows.list('address', [address], { limit: MAX_PENDING, reverse: true });
    return items.filter(({ expires_at }) => {
      const left = expires_at - this.clock.now();
      return left > 0 && left <= CODE_MS + MINUTE;
    });
  }

  /**
   * Returns the registration to compare a code with. Of several with one name, the one from this
   * network takes precedence, so that a later registration of the same name and address by a
   * stranger does not interfere.
   */
  async meant(address: string, username: string | undefined): Promise<PendingRegistrationDoc | undefined> {
    const open = await this.of(address);
    if (username === undefined) return open[0];
    const named = open.filter((row) => row.username === username);
    return named.find((row) => this.#isOwn(row)) ?? named[0];
  }

  /** Returns a recent registration from this network whose code is valid for some time yet. */
  async again(address: string, username: string): Promise<PendingRegistrationDoc | undefined> {
    const shortest = this.clock.now() + SHORTEST_MS;
    const open = await this.of(address);
    return open.find((row) => row.username === username && this.#isOwn(row) && row.expires_at >= shortest);
  }

  /**
   * Records another mail of the code and returns the row. Returns undefined if the pause is not
   * over.
   */
  async mailAgain({ _id }: PendingRegistrationDoc): Promise<PendingRegistrationDoc | undefined> {
    const now = this.clock.now();
    const outcome = { allowed: false };
    const noted = await update(this.#rows, _id, (row) => {
      outcome.allowed = Math.abs(now - (row.mailed_at ?? 0)) >= MAIL_PAUSE_MS;
      return outcome.allowed ? { ...row, mailed_at: now } : undefined;
    });
    return outcome.allowed ? noted : undefined;
  }

  /** A dropped mail does not count: its owner may request another at once. */
  async forgetMail({ _id, mailed_at }: PendingRegistrationDoc): Promise<void> {
    await update(this.#rows, _id, (row) => {
      const { mailed_at: last, ...rest } = row;
      return last === mailed_at ? rest : undefined;
    });
  }

  /**
   * Runs `check` as one counted try of this registration. Returns undefined if the registration is
   * gone.
   * @throws as `attempt`
   */
  async try<T>(row: PendingRegistrationDoc, check: () => Promise<Checked<T>>): Promise<T | undefined> {
    const gone = new Error('the registration is gone');
    let admitted = false;
    const side = this.#isOwn(row) ? 'own' : 'others';
    const ledger: CounterStore<BudgetCounts> = {
      change: async (edit) => {
        const present = await this.#queue.run(row._id, () => this.#count(row._id, side, edit));
        if (present === undefined && !admitted) throw gone;
        admitted = true;
      },
    };
    return attempt(TRIES, ledger, this.clock, check).catch((error: unknown) => {
      if (error !== gone) throw error;
      return undefined;
    });
  }

  code({ _id, address }: PendingRegistrationDoc): string {
    return oneTimeCode(this.secrets.oneTimeCodes, _id, 'registration', address);
  }

  isCode(row: PendingRegistrationDoc, code: string): boolean {
    return codeMatches(this.code(row), code);
  }

  async remove(rows: readonly PendingRegistrationDoc[]): Promise<void> {
    for (const { _id } of rows) await this.#rows.remove(_id);
  }

  #count(
    id: string,
    side: keyof ConfirmationTries,
    edit: (counts: BudgetCounts) => BudgetCounts | undefined,
  ): Promise<PendingRegistrationDoc | undefined> {
    return update(this.#rows, id, (row) => {
      const tries = row.tries ?? NO_TRIES;
      const counts = edit(tries[side]);
      return counts && { ...row, tries: { ...tries, [side]: counts } };
    });
  }

  #isOwn({ _id, client }: PendingRegistrationDoc): boolean {
    return client !== undefined && sameMac(this.#client(_id), client);
  }

  #client(id: string): string {
    return tokenMac(this.secrets, 'registering-client', id, currentRequester()?.address ?? '');
  }
}
