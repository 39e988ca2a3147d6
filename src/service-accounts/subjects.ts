import { Injectable } from '@nestjs/common';
import {
  audited,
  AuditSink,
  Clock,
  DomainError,
  isDomainError,
  newId,
  pickInTurns,
  SystemSecrets,
  retryOnStaleKey,
} from '../kernel';
import { openedName, Sealer, UserKeyService } from '../keys/user-keys';
import { Collection, DuplicateKey, Position, scanRows, Store } from '../store';
import { KeyedMutex, serviceAccountsCollection, SubjectDoc, subjectsCollection } from '../users';
import { externalIndex, openExternalId, sealExternalId } from './external-id';
import { keyNameOf } from './key-name';

const ATTEMPTS = 20;

export interface ListedSubject {
  /** Null where the stored id does not open. */
  readonly externalId: string | null;
  readonly createdAt: number;
}

/** The end users of service accounts. */
@Injectable()
export class Subjects {
  readonly #rows: Collection<SubjectDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    private readonly store: Store,
    private readonly sealer: Sealer,
    private readonly userKeys: UserKeyService,
    private readonly secrets: SystemSecrets,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(subjectsCollection);
  }

  /** What finds the subject of an account: the same for one that is not there. */
  indexOf(accountId: string, externalId: string): string {
    return externalIndex(this.secrets, accountId, externalId);
  }

  /** The subject, once it has a key. */
  async find(accountId: string, externalId: string): Promise<SubjectDoc | undefined> {
    const row = await this.#rows.find('external', this.indexOf(accountId, externalId));
    return row?.state === 'active' ? row : undefined;
  }

  /**
   * The subject, made where it is not there: (1) the row, `pending`, which takes the external id;
   * (2) the key; (3) the row, `active`, with the external id under that key. Each step may be
   * repeated, by whoever finds a pending row.
   * @throws DomainError `conflict` (it is being erased), `kms_unavailable`, `unauthenticated` (the
   * account is being removed).
   */
  establish(accountId: string, externalId: string): Promise<SubjectDoc> {
    const index = this.indexOf(accountId, externalId);
    return this.#queue.run(index, async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const found = await this.#rows.find('external', index);
        if (found?.state === 'active') return found;
        const made =
          found === undefined
            ? await this.#created(accountId, index, externalId)
            : await this.#finish(found, externalId);
        if (made !== undefined) return made;
      }
      throw beingErased();
    });
  }

  /** Oldest first. A page may hold fewer than `limit`. */
  list(accountId: string, limit: number, after: Position | undefined) {
    const options = { limit, ...(after !== undefined && { after }) };
    return retryOnStaleKey(async () => {
      const page = await this.#rows.list('account', [accountId, 'active'], options);
      return { items: await pickInTurns(page.items, (row) => this.#shown(row)), next: page.next };
    });
  }

  async #shown({ _id, external_id = '', created_at }: SubjectDoc): Promise<ListedSubject | undefined> {
    const externalId = await openedName(this.sealer, _id, (keys) => openExternalId(keys, external_id));
    return externalId === undefined ? undefined : { externalId, createdAt: created_at };
  }

  /**
   * Whether the account has subjects. Those that never got their key are ended here: nothing is
   * sealed under it.
   */
  async remain(accountId: string): Promise<boolean> {
    for await (const row of scanRows(this.#rows, 'account', [accountId, 'pending'])) {
      await this.#giveUp(row);
    }
    return (await this.#rows.count('account', [accountId, 'active'], 1)) > 0;
  }

  /**
   * Ends a pending subject, unless it has become active: the row goes first, and with it the wish
   * of any writer to activate it.
   */
  async #giveUp(row: SubjectDoc): Promise<void> {
    if (await this.#rows.remove(row._id, row.rev)) await this.userKeys.destroy(row._id);
  }

  #created(accountId: string, index: string, externalId: string): Promise<SubjectDoc | undefined> {
    const id = newId();
    const intent = { action: 'subject.create', actor: id, resource: `subject/${id}` } as const;
    return audited(this.audit, intent, async () => {
      const row = await this.#insert(id, accountId, index);
      return row && this.#finish(row, externalId);
    });
  }

  async #insert(id: string, accountId: string, index: string): Promise<SubjectDoc | undefined> {
    try {
      const created_at = this.clock.now();
      return await this.#rows.insert({
        _id: id,
        account_id: accountId,
        external_index: index,
        state: 'pending',
        created_at,
      });
    } catch (error) {
      if (error instanceof DuplicateKey) return undefined;
      throw error;
    }
  }

  /** Undefined where another request changed the row first. */
  async #finish(row: SubjectDoc, externalId: string): Promise<SubjectDoc | undefined> {
    await this.#requireAccount(row);
    try {
      await this.userKeys.create(row._id, keyNameOf(row._id));
      // The row was read before the key row, and is replaced by compare-and-set: no wrap protocol
      // needed.
      const external_id = await this.sealer.with(row._id, (keys) => sealExternalId(keys, externalId));
      return await this.#rows.replace({ ...row, external_id, state: 'active' });
    } catch (error) {
      throw isDomainError(error, 'not_found') ? beingErased() : error;
    }
  }

  /**
   * Behind the row: who removes the account marks it first and then looks for subjects, so either
   * sees the other.
   */
  async #requireAccount(row: SubjectDoc): Promise<void> {
    const account = await this.store.collection(serviceAccountsCollection).find('_id', row.account_id);
    if (account?.state === 'active') return;
    await this.#giveUp(row);
    throw new DomainError('unauthenticated', { detail: 'The service account is being removed.' });
  }
}

const beingErased = (): DomainError =>
  new DomainError('conflict', { detail: 'The subject is being erased. Retry.', retryAfterSeconds: 5 });
