import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { DuplicateKey } from '../collection';

const DUPLICATE_KEY = 11000;
const OUT_OF_DISK_SPACE = 14031;
/**
 * Server codes that say "not here, not now": no primary, stepping down, shutting down, interrupted, timed out, not yet replicated, or a
 * login that the server does not take at the moment. Each other code is a mistake of ours and stays visible as such.
 */
const UNAVAILABLE: ReadonlySet<number> = new Set([
  6, 7, 13, 18, 50, 64, 79, 89, 91, 100, 112, 134, 136, 189, 202, 262, 290, 317, 8000, 9001, 10058, 10107, 11600, 11601,
  11602, 13388, 13435, 13436, 46841,
]);

/** The port's error for one of the driver's; programmers' mistakes and our own errors pass. */
export function mongoFault(error: unknown, collection: string): unknown {
  if (!(error instanceof mongo.MongoError)) return error;
  if (error.code === DUPLICATE_KEY) return new DuplicateKey(collection, refusingIndex(error));
  if (error.code === OUT_OF_DISK_SPACE) return fault('storage_full', error);
  return isUnavailable(error) ? fault('store_unavailable', error) : error;
}

/**
 * How many of an unordered bulk held where a unique index refused some: those did not hold, as if their revision had moved on.
 * @throws what else went wrong in it
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
  // A bulk that did not get to the server at all: what stopped it is in the message only.
  if (error instanceof mongo.MongoBulkWriteError && error.code === undefined) return true;
  if (error instanceof mongo.MongoServerError) {
    return error.hasErrorLabel('RetryableWriteError') || UNAVAILABLE.has(Number(error.code));
  }
  return (
    error instanceof mongo.MongoNetworkError ||
    error instanceof mongo.MongoSystemError ||
    error instanceof mongo.MongoNotConnectedError ||
    error instanceof mongo.MongoTopologyClosedError ||
    error instanceof mongo.MongoClientClosedError ||
    error instanceof mongo.MongoExpiredSessionError ||
    /^Mongo(WaitQueueTimeout|PoolClear|PoolClosed|ConnectionPoolClear)/.test(error.name)
  );
}

/** The server names the index in its message only: `... index: <name> dup key: ...`. Ours are named as in the definition. */
function refusingIndex(error: mongo.MongoError): string {
  const name = /index: (\S+?)(?: dup key|$)/.exec(error.message)?.[1] ?? '';
  return name.replace(/^.*\$/, '') === '_id_' ? '_id' : name;
}

function fault(code: 'store_unavailable' | 'storage_full', cause: unknown): DomainError {
  return new DomainError(code, { detail: 'The store could not do this.', cause });
}
