import { Doc, defineCollection, digest, plain } from '../store';

/** One group commit of one writer. Immutable. */
export interface AuditBatchDoc extends Doc {
  readonly writer: string;
  /** Sequence number within the writer, from 1 without gaps. */
  readonly seq: number;
  readonly first_at: number;
  readonly last_at: number;
  readonly count: number;
  /**
   * The entries as one JSON array in text form, so that the hash and the MAC cover exactly the
   * stored bytes.
   */
  readonly entries: string;
  /**
   * Hash of the writer's previous batch; for the first batch, hash of the writer's registration.
   */
  readonly prev_hash: string;
  readonly hash: string;
}

export const auditBatchesCollection = defineCollection<AuditBatchDoc>({
  name: 'audit',
  fields: {
    writer: plain.string,
    seq: plain.number,
    first_at: plain.time,
    last_at: plain.time,
    count: plain.number,
    entries: plain.string,
    prev_hash: digest.string,
    hash: digest.string,
  },
  indexes: {
    writer: { fields: ['writer', 'seq'], unique: true },
    time: { fields: ['first_at'] },
  },
  tampered: 'refuse',
});

/**
 * Registration of a writer, that is, of a process from its first entry to its end. Registrations
 * are chained by number, so a removed writer is detected.
 */
export interface AuditWriterDoc extends Doc {
  readonly number: number;
  readonly writer: string;
  readonly started_at: number;
  readonly prev_hash: string;
  readonly hash: string;
}

export const auditWritersCollection = defineCollection<AuditWriterDoc>({
  name: 'audit_writers',
  fields: {
    number: plain.number,
    writer: plain.string,
    started_at: plain.time,
    prev_hash: digest.string,
    hash: digest.string,
  },
  indexes: { writer: { fields: ['writer'], unique: true } },
  tampered: 'refuse',
});
