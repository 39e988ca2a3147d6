import { Injectable } from '@nestjs/common';
import { audited, AuditSink, Clock, DomainError, newId, Person } from '../kernel';
import { UserKeyService } from '../keys/user-keys';
import { Collection, ListOptions, Page, Store, update } from '../store';
import { ServiceAccountDoc, serviceAccountsCollection } from '../users';
import { ApiKeys, NewApiKey } from './api-keys';
import { keyNameOf } from './key-name';

export interface NewServiceAccount {
  readonly name: string;
  readonly scopes: readonly string[];
}

export interface NewServiceKey {
  readonly name: string | undefined;
  readonly lifeMs: number | undefined;
  readonly allowedAddresses: readonly string[];
}

/** What an administrator does about service accounts. */
@Injectable()
export class ServiceAccounts {
  readonly #rows: Collection<ServiceAccountDoc>;

  constructor(
    store: Store,
    private readonly keys: ApiKeys,
    private readonly userKeys: UserKeyService,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(serviceAccountsCollection);
  }

  /**
   * The row first, so that its key belongs to somebody at every moment.
   * @throws DomainError `kms_unavailable`
   */
  create(caller: Person, { name, scopes }: NewServiceAccount): Promise<ServiceAccountDoc> {
    const id = newId();
    return audited(this.audit, { action: 'service-account.create', ...by(caller, id) }, async () => {
      const facts = { name, scopes, created_by: caller.ownerId, created_at: this.clock.now() };
      const row = await this.#rows.insert({ _id: id, ...facts, state: 'active' });
      try {
        await this.userKeys.create(id, keyNameOf(id));
      } catch (error) {
        if (await this.#rows.remove(id).catch(() => false)) await this.userKeys.destroy(id).catch(() => undefined);
        throw error;
      }
      return row;
    });
  }

  /** Oldest first. */
  list(options: ListOptions): Promise<Page<ServiceAccountDoc>> {
    return this.#rows.list('_id', [], options);
  }

  /** @throws DomainError `not_found` */
  async require(id: string): Promise<ServiceAccountDoc> {
    const row = await this.#rows.find('_id', id);
    if (row === undefined) throw notFound();
    return row;
  }

  /**
   * The account's own key is made where a process died before it was there. The account is read
   * once more behind the key's row: a removal marks it first.
   * @throws DomainError `not_found`, `conflict`
   */
  createKey(caller: Person, id: string, { allowedAddresses, ...asked }: NewServiceKey): Promise<NewApiKey> {
    return audited(this.audit, { action: 'api-key.create', ...by(caller, id) }, async () => {
      const { scopes } = await this.require(id);
      await this.userKeys.create(id, keyNameOf(id));
      const kind = 'service-account';
      const made = await this.keys.create({
        owner_id: id,
        kind,
        scopes,
        allowed_addresses: allowedAddresses,
        ...asked,
      });
      if ((await this.#rows.find('_id', id))?.state === 'active') return made;
      await this.keys.remove(id, made.row._id);
      throw notFound();
    });
  }

  /** @throws DomainError `not_found` */
  async removeKey(caller: Person, id: string, keyId: string): Promise<void> {
    const intent = { action: 'api-key.remove', ...by(caller, id), details: { key: keyId } } as const;
    await audited(this.audit, intent, async () => {
      if (!(await this.keys.remove(id, keyId))) throw notFound();
    });
  }

  /**
   * From here on it takes no new subjects and no new keys. Resolves with the row that this call
   * stored.
   * @throws DomainError `not_found`
   */
  async beginRemoval(id: string): Promise<ServiceAccountDoc> {
    const marked = await update(this.#rows, id, (row): ServiceAccountDoc => ({ ...row, state: 'removing' }));
    if (marked === undefined) throw notFound();
    return marked;
  }

  /** Does nothing where another removal has begun since: that one decides. */
  async cancelRemoval(marked: ServiceAccountDoc): Promise<void> {
    await this.#rows.replace({ ...marked, state: 'active' });
  }
}

const by = (caller: Person, id: string) => ({ actor: caller.actor, resource: `service-account/${id}` }) as const;

const notFound = (): DomainError => new DomainError('not_found');
