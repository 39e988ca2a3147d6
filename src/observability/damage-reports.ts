import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { AuditSink, DomainError, MINUTE, StaleKeyVersionError, TransferAborted, isDomainError } from '../kernel';
import { Metrics } from './metrics';
import { currentRequestId } from './request-context';

export type StoredResource = 'file' | 'record';

/** The resource that was read when the damage was detected. Holds ids only, never a name. */
export interface DamagedRead {
  readonly resource: StoredResource;
  readonly id: string;
  /** Version of a file. */
  readonly version?: number;
}

const ACTIONS = { file: 'file.damaged', record: 'record.damaged' } as const;

/**
 * A read is repeated where an envelope is older than its key; what fails so often in one request is
 * damaged.
 */
const STALE_READS = 3;

/**
 * Reports stored data that fails verification: a log line, a counter and an audit entry, once a
 * minute for each resource.
 */
@Injectable()
export class DamageReports {
  readonly #logger = new Logger('damage');
  readonly #reported = new LRUCache<string, true>({ max: 1_000, ttl: MINUTE });
  readonly #stale = new LRUCache<string, number>({ max: 1_000, ttl: MINUTE });

  constructor(
    private readonly metrics: Metrics,
    private readonly audit: AuditSink,
  ) {}

  /** Reports a failed read. Ignores errors that say nothing about the stored data. */
  met({ resource, id, version }: DamagedRead, error: unknown): void {
    const code = damageOf(error)?.code;
    if (code === undefined || (error instanceof StaleKeyVersionError && !this.#isStaleForGood(`${resource}/${id}`)))
      return;
    this.metrics.countDamagedRead(resource);
    const name = `${resource}/${id}`;
    const key = `${name} ${version ?? ''}`;
    if (this.#reported.has(key)) return;
    this.#reported.set(key, true);
    const details = { code, ...(version !== undefined && { version }) };
    this.#logger.error({ resource: name, ...details, msg: 'stored data is damaged' });
    this.audit.note({ action: ACTIONS[resource], actor: 'system:reader', resource: name, details }, 'failed');
  }

  /** Reports a download that the client aborted. */
  aborted(fileId: string, version: number, actor: string): void {
    this.metrics.countAbortedTransfer('download');
    const resource = `file/${fileId}`;
    this.#logger.log({ resource, version, msg: 'a download was broken off' });
    const details = { version, aborted: true };
    this.audit.note({ action: 'file.download', actor, resource, details }, 'failed');
  }

  /**
   * Reports an upload that ended before its last byte. The audit log already records the outcome of
   * its action.
   */
  uploadAborted(fileId: string, error: unknown): void {
    if (!(error instanceof TransferAborted)) return;
    this.metrics.countAbortedTransfer('upload');
    this.#logger.log({ resource: `file/${fileId}`, msg: 'an upload was broken off' });
  }

  #isStaleForGood(name: string): boolean {
    const requestId = currentRequestId();
    // Outside a request nothing is retried.
    if (requestId === undefined) return true;
    const key = `${requestId} ${name}`;
    const reads = (this.#stale.get(key) ?? 0) + 1;
    this.#stale.set(key, reads);
    return reads === STALE_READS;
  }
}

/** The error that shows damaged data, or undefined for a transient error of keys or store. */
export function damageOf(error: unknown): DomainError | undefined {
  // An unreadable sector: the medium responds, but its data is lost.
  if (hasErrno(error, 'EIO')) return new DomainError('store_unavailable');
  return isDomainError(error, 'decryption_failed', 'checksum_mismatch', 'integrity_failed') ? error : undefined;
}

function hasErrno(error: unknown, errno: string): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === errno) || hasErrno(error.cause, errno);
}
