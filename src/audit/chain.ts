import { encodeContext, sha256Stream } from '../crypto';
import { Draft } from '../store';
import { AuditBatchDoc, AuditWriterDoc } from './audit.collection';

/** Previous hash of the first writer. */
export const CHAIN_START = '0'.repeat(64);

/** Fixed width, so that ids sort numerically. */
export const writerRowId = (number: number): string => String(number).padStart(12, '0');
export const batchRowId = (writer: string, seq: number): string => `${writer}:${String(seq).padStart(12, '0')}`;

/** SHA-256 over a batch and the previous hash, lowercase hex. */
export function batchHash(batch: Omit<Draft<AuditBatchDoc>, 'hash'>): string {
  const { writer, seq, first_at, last_at, count, prev_hash, entries } = batch;
  const hash = sha256Stream();
  hash.update(encodeContext(['coffer/audit-batch/v1', writer, seq, first_at, last_at, count, prev_hash]));
  hash.update(entries);
  return hash.digest().toString('hex');
}

/** SHA-256 over a writer's registration and the previous hash, lowercase hex. */
export function writerHash(row: Omit<Draft<AuditWriterDoc>, 'hash'>): string {
  const hash = sha256Stream();
  hash.update(encodeContext(['coffer/audit-writer/v1', row.number, row.writer, row.started_at, row.prev_hash]));
  return hash.digest().toString('hex');
}
