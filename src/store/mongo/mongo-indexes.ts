import { mongo } from 'mongoose';

type IndexKeys = Readonly<Record<string, 1 | -1>>;

/** What servers that speak MongoDB's protocol answer to an option that they do not know: FailedToParse, InvalidOptions, an unknown field, not supported. */
const UNKNOWN_OPTION: ReadonlySet<unknown> = new Set([9, 72, 115, 238, 303, 40415]);
const MAJORITY = { commitQuorum: 'majority' } as const;

/**
 * Builds an index that a majority of the set has when this resolves. The server's own default waits for every voting member, so that one
 * member that is down would hold up each start. A server that does not know the option builds the index as it does by itself.
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
