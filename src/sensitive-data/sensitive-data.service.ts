import { Injectable, Optional } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  Clock,
  DomainError,
  Principal,
  auditedAfterLook,
  Turns,
  mapInTurns,
  newId,
  notedIfRefused,
  admitsType,
  requireType,
  retryOnStaleKey,
} from '../kernel';
import { OwnerKeys, SealedInsert, Sealer } from '../keys/user-keys';
import { DamageReports } from '../observability';
import { RecordUsage } from '../quota';
import { Collection, Position, Store, retryOnConflict, update } from '../store';
import { SealedFields, openValue, sealValue, valueBytes } from './record-cipher';
import { HIDDEN, RecordInput, RecordView, View, masked, showsPart } from './sensitive-data';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

/** A record and the revision of its ETag. */
export interface Versioned {
  readonly record: RecordView;
  readonly rev: number;
}

export interface RecordList {
  readonly records: readonly RecordView[];
  readonly next: Position | undefined;
}

export interface ListRequest {
  readonly dataType: string | undefined;
  readonly view: View;
  readonly limit: number;
  readonly after: Position | undefined;
}

/** Throws if the caller's precondition (If-Match) does not match this revision. */
export type RevisionGuard = (rev: number) => void;

/**
 * A page ends early once it holds this much ciphertext (as hex), so that a list of large values
 * needs bounded memory.
 */
const PAGE_BYTES = 8 * 1024 * 1024;
const CHUNK = 50;

@Injectable()
export class SensitiveDataService {
  readonly #rows: Collection<SensitiveDataDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    private readonly usage: RecordUsage,
    @Optional() private readonly damage?: DamageReports,
  ) {
    this.#rows = store.collection(sensitiveDataCollection);
  }

  async create(caller: Principal, input: RecordInput): Promise<Versioned> {
    const id = newId();
    const bytes = Buffer.byteLength(input.value, 'utf8');
    const insert = () => this.sealer.insert(caller.ownerId, this.#insertion(id, caller.ownerId, input));
    const row = await auditedAfterLook(this.audit, intent('record.create', caller, id), async (begin) => {
      requireType(caller, input.dataType);
      return this.usage.during(caller.ownerId, bytes, insert, begin);
    });
    return { record: viewOf(row, input.value), rev: row.rev };
  }

  /**
   * @throws DomainError `not_found` (also for a record of another owner), `integrity_failed`,
   * `decryption_failed`
   */
  async get(caller: Principal, id: string, view: View): Promise<Versioned> {
    return this.#read(intent('record.read', caller, id, { view }), async () => {
      const row = await this.#owned(caller, id);
      const record = await this.sealer.with(caller.ownerId, (keys) => this.#show(keys, row, view));
      return { record, rev: row.rev };
    });
  }

  async list(caller: Principal, request: ListRequest): Promise<RecordList> {
    const details = { view: request.view, ...(request.dataType === undefined ? {} : { data_type: request.dataType }) };
    return this.#read(intent('record.list', caller, undefined, details), async () => {
      const page = await this.#page(caller, request);
      if (page.rows.length === 0) return { records: [], next: page.next };
      const show = (keys: OwnerKeys) => mapInTurns(page.rows, (row) => this.#show(keys, row, request.view));
      return { records: await this.sealer.with(caller.ownerId, show), next: page.next };
    });
  }

  /**
   * @throws DomainError `not_found`, errors of `guard`, `conflict` on repeated concurrent changes
   */
  async replace(caller: Principal, id: string, input: RecordInput, guard: RevisionGuard): Promise<Versioned> {
    const row = await auditedAfterLook(this.audit, intent('record.update', caller, id), (begin) =>
      retryOnConflict(async () => {
        // Read before Sealer.with reads the key row: if the key version is retired in between, the
        // row is rewritten and this replace fails.
        const before = await this.#owned(caller, id);
        requireType(caller, input.dataType);
        guard(before.rev);
        const sealed = await this.sealer.with(caller.ownerId, (keys) => sealValue(keys, id, input.value));
        const after = { ...before, ...sealed, data_type: input.dataType, updated_at: this.clock.now() };
        const bytes = valueBytes(after) - valueBytes(before);
        return this.usage.during(caller.ownerId, bytes, () => this.#rows.replace(after), begin);
      }),
    );
    return { record: viewOf(row, input.value), rev: row.rev };
  }

  /** @throws as `replace` */
  async remove(caller: Principal, id: string, guard: RevisionGuard): Promise<void> {
    await auditedAfterLook(this.audit, intent('record.delete', caller, id), (begin) =>
      retryOnConflict(async () => {
        const row = await this.#owned(caller, id);
        guard(row.rev);
        const remove = async () => ((await this.#rows.remove(id, row.rev)) ? row : undefined);
        return this.usage.during(caller.ownerId, -valueBytes(row), remove, begin);
      }),
    );
  }

  #insertion(id: string, ownerId: string, input: RecordInput): SealedInsert<SensitiveDataDoc> {
    const created_at = this.clock.now();
    const fixed = { _id: id, user_id: ownerId, data_type: input.dataType, created_at, updated_at: created_at };
    const seal = (keys: OwnerKeys): SealedFields => sealValue(keys, id, input.value);
    return {
      pending: (keys) => this.#rows.insert({ ...fixed, ...seal(keys), state: 'pending', pending_since: created_at }),
      again: (_row, keys) => this.#stillThere(id, (row) => ({ ...row, ...seal(keys) })),
      activate: () => this.#stillThere(id, activated),
    };
  }

  /**
   * A rotation of the user key may have re-encrypted a pending row meanwhile; only the sweeper
   * removes it.
   */
  async #stillThere(id: string, change: (row: SensitiveDataDoc) => SensitiveDataDoc): Promise<SensitiveDataDoc> {
    const row = await update(this.#rows, id, change);
    if (row === undefined) throw new DomainError('store_unavailable', { detail: 'The record took too long to store.' });
    return row;
  }

  #show(keys: OwnerKeys, row: SensitiveDataDoc, view: View): RecordView {
    try {
      return showRow(keys, row, view);
    } catch (error) {
      this.damage?.met({ resource: 'record', id: row._id }, error);
      throw error;
    }
  }

  async #owned(caller: Principal, id: string): Promise<SensitiveDataDoc> {
    const row = await this.#rows.find('_id', id);
    if (row?.user_id !== caller.ownerId || row.state !== 'active') throw new DomainError('not_found');
    requireType(caller, row.data_type);
    return row;
  }

  /**
   * What a narrowed scope does not cover is left out: a page may hold fewer records, even none, and
   * still have a next one.
   */
  async #page(caller: Principal, request: ListRequest) {
    const index = request.dataType === undefined ? 'owner' : 'owner_type';
    const prefix = [caller.ownerId, 'active', ...(request.dataType === undefined ? [] : [request.dataType])];
    const rows: SensitiveDataDoc[] = [];
    const turns = new Turns();
    let next = request.after;
    let bytes = 0;
    do {
      const limit = Math.min(CHUNK, request.limit - rows.length);
      const page = await this.#rows.list(index, prefix, { limit, ...(next === undefined ? {} : { after: next }) });
      rows.push(...page.items.filter((row) => admitsType(caller, row.data_type)));
      bytes += page.items.reduce((sum, row) => sum + row.encrypted_value.length, 0);
      next = page.next;
      await turns.pause();
    } while (next !== undefined && rows.length < request.limit && bytes < PAGE_BYTES);
    return { rows, next };
  }

  /**
   * A successful read leaves one audit entry, durable before the response; a failed read is noted
   * with its reason.
   */
  async #read<T>(what: AuditIntent, read: () => Promise<T>): Promise<T> {
    const result = await notedIfRefused(this.audit, what, () => retryOnStaleKey(read));
    await this.audit.read(what);
    return result;
  }
}

function intent(
  action: AuditAction,
  caller: Principal,
  id: string | undefined,
  details?: AuditIntent['details'],
): AuditIntent {
  return {
    action,
    actor: caller.actor,
    ...(id === undefined ? {} : { resource: `record/${id}` }),
    ...(details === undefined ? {} : { details }),
  };
}

function activated(row: SensitiveDataDoc): SensitiveDataDoc {
  const { pending_since: _since, ...rest } = row;
  return { ...rest, state: 'active' };
}

const viewOf = (row: SensitiveDataDoc, value: string): RecordView => ({ id: row._id, data_type: row.data_type, value });

function showRow(keys: OwnerKeys, row: SensitiveDataDoc, view: View): RecordView {
  if (view === 'clear') return viewOf(row, openValue(keys, row));
  return viewOf(row, showsPart(row.data_type) ? masked(row.data_type, openValue(keys, row)) : HIDDEN);
}
