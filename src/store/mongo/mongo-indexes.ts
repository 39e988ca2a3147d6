import { mongo } from 'mongoose';

type IndexKeys = Readonly<Record<string, 1 | -1>>;

/**
 * Error codes of MongoDB-compatible servers for an unknown option: FailedToParse, InvalidOptions,
 * an unknown field, not supported.
 */
const UNKNOWN_OPTION: ReadonlySet<unknown> = new Set([9, 72, 115, 238, 303, 40415]);
const MAJORITY = { commitQuorum: 'majority' } as const;

/**
 * Builds an index and resolves when a majority of the set has it.
 * The server's default waits for every voting member, so that one unavailable member would block
 * each start. A server that does not know the option uses its default.
 */
export async function createIndex<T extends mongo.Document>(
  documents: mongo.Collection<T>,
  keys: IndexKeys,
  options: mongo.IndexOptions,
): Promise<void> {
  const build = (command: mongo.CreateIndexOptions): Promise<string> =>
    documents.createIndex({ ...keys }, options, command);
  try {
    await build(MAJORITY);
  } catch (error) {
    if (!refusesQuorum(error)) throw error;
    await build({});
  }
}

const refusesQuorum = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError && UNKNOWN_OPTION.has(error.code) && /commitQuorum/.test(error.message);
