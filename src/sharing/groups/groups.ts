import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  Clock,
  DomainError,
  Principal,
  auditedAfterLook,
  isoTime,
  newId,
  retryOnStaleKey,
} from '../../kernel';
import { OwnerKeys, SealedInsert, Sealer } from '../../keys/user-keys';
import { Collection, DuplicateKey, Position, Store, update } from '../../store';
import { GroupRemoval } from './group-removal';
import { GroupDoc, groupCollection, groupNameIndex, openGroupName, sealGroupName } from './group.collection';

export interface GroupView {
  readonly id: string;
  readonly name: string;
  readonly created_at: string;
}

/** Groups an account may own. */
export const MAX_GROUPS = 1_000;

/** The groups of one owner. To everybody else they are not there. */
@Injectable()
export class Groups {
  readonly #groups: Collection<GroupDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: GroupRemoval,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#groups = store.collection(groupCollection);
  }

  /** @throws DomainError `conflict` where the owner has a group of this name, or too many. */
  async create(caller: Principal, name: string): Promise<GroupView> {
    const id = newId();
    const row = await auditedAfterLook(this.audit, groupIntent('group.create', caller, id), async (begin) => {
      if ((await this.#groups.count('owner', [caller.ownerId], MAX_GROUPS)) >= MAX_GROUPS)
        throw tooMany('groups', MAX_GROUPS);
      await this.#requireFreeName(caller.ownerId, name);
      await begin();
      const made = await this.sealer
        .insert(caller.ownerId, this.#insertion(id, caller.ownerId, name))
        .catch(asNameTaken);
      await this.#requireRoom(made);
      return made;
    });
    return viewOf(row, name);
  }

  /** An early look: the insert decides. */
  async #requireFreeName(ownerId: string, name: string): Promise<void> {
    if ((await this.#byName(ownerId, name)) !== undefined) throw nameTaken();
  }

  async #byName(ownerId: string, name: string): Promise<GroupDoc | undefined> {
    const index = await this.sealer.with(ownerId, (keys) => groupNameIndex(keys, name));
    return this.#groups.find('name', ownerId, index);
  }

  /**
   * Counts again after the insert, so that concurrent requests do not exceed the limit together.
   */
  async #requireRoom({ _id, owner_id }: GroupDoc): Promise<void> {
    if ((await this.#groups.count('owner', [owner_id], MAX_GROUPS + 1)) <= MAX_GROUPS) return;
    await this.removal.begin(_id);
    await this.removal.finish(_id);
    throw tooMany('groups', MAX_GROUPS);
  }

  /** Oldest first. @throws DomainError `decryption_failed`. */
  list(caller: Principal, { limit, after }: { limit: number; after: Position | undefined }) {
    const options = { limit, ...(after !== undefined && { after }) };
    return retryOnStaleKey(async () => {
      const page = await this.#groups.list('owner', [caller.ownerId, 'active'], options);
      if (page.items.length === 0) return { groups: [], next: page.next };
      const show = (keys: OwnerKeys) => page.items.map((row) => viewOf(row, openGroupName(keys, row)));
      return { groups: await this.sealer.with(caller.ownerId, show), next: page.next };
    });
  }

  /** @throws DomainError `not_found` (also for a group of somebody else), `decryption_failed`. */
  get(caller: Principal, id: string): Promise<GroupView> {
    return retryOnStaleKey(async () => {
      const row = await this.owned(caller.ownerId, id);
      return viewOf(row, await this.sealer.with(row.owner_id, (keys) => openGroupName(keys, row)));
    });
  }

  /** All that was granted to the group ends at once. @throws DomainError `not_found`. */
  async remove(caller: Principal, id: string): Promise<void> {
    await auditedAfterLook(this.audit, groupIntent('group.delete', caller, id), async (begin) => {
      await this.owned(caller.ownerId, id);
      await begin();
      if (!(await this.removal.begin(id))) throw notFound();
      // It is gone already; what cannot be cleared away now the sweeper takes.
      await this.removal.finish(id).catch(() => undefined);
    });
  }

  /** A group of this owner, by its id. @throws DomainError `not_found`. */
  async owned(ownerId: string, id: string): Promise<GroupDoc> {
    const row = await this.#groups.find('_id', id);
    if (row?.owner_id !== ownerId || row.state !== 'active') throw notFound();
    return row;
  }

  /** A group of this owner, by its id or its name. @throws DomainError `not_found`. */
  async named(ownerId: string, idOrName: string): Promise<GroupDoc> {
    const byId = await this.#groups.find('_id', idOrName);
    if (byId?.owner_id === ownerId && byId.state === 'active') return byId;
    const byName = await this.#byName(ownerId, idOrName);
    if (byName?.state !== 'active') throw notFound();
    return byName;
  }

  /**
   * The names of those groups of this owner that are there, by id.
   * @throws DomainError `decryption_failed`.
   */
  async names(ownerId: string, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (ids.length === 0) return new Map();
    return retryOnStaleKey(async () => {
      const found = await Promise.all(ids.map((id) => this.#groups.find('_id', id)));
      const rows = found.filter((row) => row?.owner_id === ownerId && row.state === 'active') as GroupDoc[];
      return this.sealer.with(ownerId, (keys) => new Map(rows.map((row) => [row._id, openGroupName(keys, row)])));
    });
  }

  #insertion(id: string, ownerId: string, name: string): SealedInsert<GroupDoc> {
    const created_at = this.clock.now();
    const fixed = { _id: id, owner_id: ownerId, state: 'pending', created_at, changing_since: created_at } as const;
    return {
      pending: (keys) =>
        this.#groups.insert({ ...fixed, name_index: groupNameIndex(keys, name), ...sealGroupName(keys, id, name) }),
      again: (_row, keys) => this.#stillThere(id, (row) => ({ ...row, ...sealGroupName(keys, id, name) })),
      activate: () => this.#stillThere(id, activated),
    };
  }

  /**
   * A rotation of the user key may have re-encrypted the pending row meanwhile. Only the sweeper
   * removes it.
   */
  async #stillThere(id: string, change: (row: GroupDoc) => GroupDoc): Promise<GroupDoc> {
    const row = await update(this.#groups, id, change);
    if (row === undefined) throw new DomainError('store_unavailable', { detail: 'The group took too long to store.' });
    return row;
  }
}

export const notFound = (): DomainError => new DomainError('not_found');

export const tooMany = (what: string, limit: number): DomainError =>
  new DomainError('conflict', { detail: `There may be at most ${limit} ${what}.` });

export const groupIntent = (
  action: AuditAction,
  caller: Principal,
  groupId: string,
  details?: AuditIntent['details'],
): AuditIntent => ({
  action,
  actor: caller.actor,
  resource: `group/${groupId}`,
  ...(details !== undefined && { details }),
});

function activated(row: GroupDoc): GroupDoc {
  const { changing_since: _since, ...rest } = row;
  return { ...rest, state: 'active' };
}

function asNameTaken(error: unknown): never {
  throw error instanceof DuplicateKey ? nameTaken() : error;
}

const nameTaken = (): DomainError => new DomainError('conflict', { detail: 'A group of this name exists already.' });

const viewOf = (row: GroupDoc, name: string): GroupView => ({
  id: row._id,
  name,
  created_at: isoTime(row.created_at),
});
