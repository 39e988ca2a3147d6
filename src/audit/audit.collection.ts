import { Doc, defineCollection } from '../store';

/** One group commit of one writer. Written once and never changed. */
export interface AuditBatchDoc extends Doc {
  readonly writer: string;
  /** From 1, without gaps, a writer. */
  readonly seq: number;
  readonly first_at: number;
  readonly last_at: number;
  readonly count: number;
  /** The entries as the text of one JSON array: the hash and the seal cover exactly the bytes that are kept. */
  readonly entries: string;
  /** The hash of the writer's batch before this one; of its row in the registry for the first one. */
  readonly prev_hash: string;
  readonly hash: string;
}

export const auditBatchesCollection = defineCollection<AuditBatchDoc>({
  name: 'audit',
  fields: {
    writer: 'string',
    seq: 'number',
    first_at: 'time',
    last_at: 'time',
    count: 'number',
    entries: 'string',
    prev_hash: 'string',
    hash: 'string',
  },
  plaintext: ['writer', 'seq', 'first_at', 'last_at', 'count', 'entries'],
  indexes: {
    writer: { fields: ['writer', 'seq'], unique: true },
    time: { fields: ['first_at'] },
  },
  tampered: 'refuse',
});

/** One row a writer, that is a process from its first entry to its end. Chained by number, so that no writer can be left out. */
export interface AuditWriterDoc extends Doc {
  readonly number: number;
  readonly writer: string;
  readonly started_at: number;
  readonly prev_hash: string;
  readonly hash: string;
}

export const auditWritersCollection = defineCollection<AuditWriterDoc>({
  name: 'audit_writers',
  fields: { number: 'number', writer: 'string', started_at: 'time', prev_hash: 'string', hash: 'string' },
  plaintext: ['number', 'writer', 'started_at'],
  indexes: { writer: { fields: ['writer'], unique: true } },
  tampered: 'refuse',
});
