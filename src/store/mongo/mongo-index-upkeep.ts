import { Model, mongo } from 'mongoose';
import { sha256 } from '../../crypto';
import { RowCollection } from './mongo-connection';
import { hasCode } from './mongo-errors';
import { createIndex } from './mongo-indexes';
import { BsonRow, EXPIRY } from './mongo-rows';

/**
 * An index with this name or these keys exists with other options: IndexOptionsConflict,
 * IndexKeySpecsConflict.
 */
const INDEX_CONFLICT = [85, 86];
/** Another process dropped it first. */
const INDEX_NOT_FOUND = 27;

interface IndexSpec {
  readonly name?: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly unique?: boolean;
  readonly partialFilterExpression?: unknown;
  readonly expireAfterSeconds?: number;
}

/**
 * Adds the indexes of a definition and drops none, because another serving release may need others.
 * If a different index has the same name, the new one gets a separate name.
 */
export async function addIndexes(model: Model<BsonRow>): Promise<void> {
  const documents = documentsOf(model);
  for (const wanted of wantedBy(model)) {
    const { key, ...options } = wanted;
    const create = (name: string | undefined): Promise<void> =>
      createIndex(
        documents,
        key as Record<string, 1>,
        { ...options, ...(name !== undefined && { name }) } as mongo.IndexOptions,
      );
    try {
      await create(wanted.name);
    } catch (error) {
      if (!hasCode(error, ...INDEX_CONFLICT)) throw error;
      if (await isThere(documents, wanted)) continue;
      await create(`${wanted.name ?? ''}~${fingerprint(wanted)}`);
    }
  }
}

/**
 * Names of Coffer's indexes that none of these models uses. Excludes indexes that an operator
 * created.
 */
export async function formerIndexes(models: readonly Model<BsonRow>[]): Promise<string[]> {
  const [model] = models;
  if (model === undefined) return [];
  const wanted = models.flatMap(wantedBy);
  const present = await indexesOf(documentsOf(model));
  const former = present.filter((index) => isOurs(index) && !wanted.some((each) => isSame(each, index)));
  return former.map(({ name = '' }) => name).filter((name) => name !== '' && name !== '_id_');
}

/** Returns false if another process dropped the index first. */
export async function dropIndex(model: Model<BsonRow>, name: string): Promise<boolean> {
  try {
    await documentsOf(model).dropIndex(name);
    return true;
  } catch (error) {
    if (hasCode(error, INDEX_NOT_FOUND)) return false;
    throw error;
  }
}

const documentsOf = (model: Model<BsonRow>): RowCollection => model.collection as unknown as RowCollection;

const wantedBy = (model: Model<BsonRow>): IndexSpec[] =>
  model.schema.indexes().map(([key, options]) => ({ key, ...options }) as unknown as IndexSpec);

async function indexesOf(documents: RowCollection): Promise<IndexSpec[]> {
  const NAMESPACE_NOT_FOUND = 26;
  try {
    return await documents.indexes();
  } catch (error) {
    if (hasCode(error, NAMESPACE_NOT_FOUND)) return [];
    throw error;
  }
}

const isThere = async (documents: RowCollection, wanted: IndexSpec): Promise<boolean> =>
  (await indexesOf(documents)).some((index) => isSame(wanted, index));

/**
 * Options of Coffer's indexes; the server adds `v`, and older releases of server and driver `ns`
 * and `background`.
 */
const OPTIONS = new Set([
  'background',
  'v',
  'ns',
  'key',
  'name',
  'unique',
  'partialFilterExpression',
  'expireAfterSeconds',
]);

/**
 * True if this release of Coffer or another one created the index: the options are exactly those of
 * `schemaOf`, and the name is not the server's default name.
 */
function isOurs(index: IndexSpec): boolean {
  const { key, name = '' } = index;
  const orders = Object.entries(key);
  if (name === orders.map(([field, order]) => `${field}_${String(order)}`).join('_')) return false;
  if (!Object.keys(index).every((option) => OPTIONS.has(option))) return false;
  if (!orders.every(([, order]) => Number(order) === 1)) return false;
  return index.expireAfterSeconds === undefined ? hasOurFilter(index) : isOurExpiry(index);
}

/**
 * Exactly `{ $exists: true }` on each field of the key; `_id` ends the key of an index that is not
 * unique.
 */
function hasOurFilter({ key, unique = false, partialFilterExpression: filter }: IndexSpec): boolean {
  const fields = Object.keys(key);
  if (!unique && fields.pop() !== '_id') return false;
  const ours = Object.fromEntries(fields.map((field) => [field, { $exists: true }]));
  return fields.length > 0 && JSON.stringify(sorted(filter)) === JSON.stringify(sorted(ours));
}

const isOurExpiry = ({ key, name = '', unique, partialFilterExpression, expireAfterSeconds }: IndexSpec): boolean =>
  name.split('~', 1)[0] === EXPIRY &&
  Number(expireAfterSeconds) === 0 &&
  Object.keys(key).length === 1 &&
  unique !== true &&
  partialFilterExpression === undefined;

const isSame = (a: IndexSpec, b: IndexSpec): boolean => identity(a) === identity(b);

/** The properties that identify an index. Numbers from the server may have another BSON type. */
function identity({ key, unique = false, partialFilterExpression = {}, expireAfterSeconds }: IndexSpec): string {
  const keys = Object.entries(key).map(([field, order]) => [field, Number(order)]);
  return JSON.stringify([keys, unique, sorted(partialFilterExpression), expireAfterSeconds ?? null]);
}

const fingerprint = (index: IndexSpec): string => sha256(identity(index)).toString('hex').slice(0, 8);

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, inner]) => [name, sorted(inner)]);
}
