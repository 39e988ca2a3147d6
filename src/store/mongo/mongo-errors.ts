import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { DuplicateKey } from '../collection';
import { mongoReason } from './mongo-reason';

const DUPLICATE_KEY = 11000;
const OUT_OF_DISK_SPACE = 14031;
const DETAIL = 'The store failed.';
/**
 * Server codes of transient errors: the same call may succeed later. Any other code is a defect of
 * Coffer and stays visible.
 */
const UNAVAILABLE: ReadonlySet<number> = new Set([
  // No serving member: hosts, sockets, pools, elections, members that step down, recover or shut
  // down.
  ...[6, 7, 89, 91, 133, 189, 190, 202, 216, 317, 384, 407, 9001, 10058, 10107, 11600, 11602, 13435, 13436],
  // Rejected at the moment: a login, a permission.
  ...[13, 18, 391, 8000],
  // Interrupted, timed out or aborted by the server, including cursors and plans whose collection
  // or member changed.
  ...[24, 43, 46, 50, 90, 112, 117, 136, 175, 237, 262, 276, 290, 314, 11601, 46841],
  // Not yet written to, or not visible to, a majority.
  ...[64, 79, 100, 134, 239, 246],
  // Shards that move.
  ...[63, 70, 150, 249, 250, 13388],
  // A server that is short of memory or overloaded.
  ...[146, 365, 402, 433, 462],
]);
/** Error labels of the server that permit a retry. */
const MAY_BE_TRIED_AGAIN = [
  'RetryableWriteError',
  'RetryableError',
  'SystemOverloadedError',
  'TransientTransactionError',
];

/**
 * Maps an error of the driver to the store interface; programming errors and Coffer's own errors
 * pass.
 */
export function mongoFault(error: unknown, collection: string): unknown {
  if (!(error instanceof mongo.MongoError)) return error;
  if (error.code === DUPLICATE_KEY) return new DuplicateKey(collection, refusingIndex(error));
  if (error.code === OUT_OF_DISK_SPACE) return fault('storage_full', error);
  return isUnavailable(error) ? fault('store_unavailable', error) : error;
}

/**
 * Number of successful writes of an unordered bulk in which a unique index rejected some; those
 * count as revision conflicts.
 * @throws any other error of the bulk
 */
export function heldInSpiteOf(error: unknown): number {
  if (!(error instanceof mongo.MongoBulkWriteError)) throw error;
  const faults = [error.writeErrors].flat();
  const other = faults.find(({ code }) => code !== DUPLICATE_KEY);
  if (other !== undefined) throw new mongo.MongoServerError({ code: other.code, message: other.errmsg ?? '' });
  if (error.code !== DUPLICATE_KEY) throw error;
  return error.result.matchedCount;
}

export function hasCode(error: unknown, ...codes: number[]): boolean {
  return error instanceof mongo.MongoServerError && typeof error.code === 'number' && codes.includes(error.code);
}

function isUnavailable(error: mongo.MongoError): boolean {
  if (error instanceof mongo.MongoWriteConcernError) return true;
  // A bulk that did not reach the server: only the message holds the cause.
  if (error instanceof mongo.MongoBulkWriteError && error.code === undefined) return true;
  if (error instanceof mongo.MongoServerError) {
    return MAY_BE_TRIED_AGAIN.some((label) => error.hasErrorLabel(label)) || UNAVAILABLE.has(Number(error.code));
  }
  return (
    error instanceof mongo.MongoNetworkError ||
    error instanceof mongo.MongoSystemError ||
    error instanceof mongo.MongoNotConnectedError ||
    error instanceof mongo.MongoTopologyClosedError ||
    error instanceof mongo.MongoClientClosedError ||
    error instanceof mongo.MongoExpiredSessionError ||
    /^Mongo(WaitQueueTimeout|PoolClear|PoolClosed|ConnectionPoolClear|UnexpectedServerResponse|CursorExhausted)/.test(
      error.name,
    )
  );
}

/**
 * The server names the index only in its message: `... index: <name> dup key: ...`. Coffer's
 * indexes have the names of the definition.
 */
function refusingIndex(error: mongo.MongoError): string {
  const name = /index: (\S+?)(?: dup key|$)/.exec(error.message)?.[1] ?? '';
  return name.replace(/^.*\$/, '') === '_id_' ? '_id' : (name.split('~', 1)[0] ?? name);
}

function fault(code: 'store_unavailable' | 'storage_full', cause: unknown): DomainError {
  return new DomainError(code, { detail: DETAIL, reason: mongoReason(cause), cause });
}
