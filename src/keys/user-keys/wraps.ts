import { equalBytes } from '../../crypto';
import { DomainError, newId, SecretBytes } from '../../kernel';
import { type ItemResult, MasterKey, MAX_BATCH, type UnwrapItem, wrapContext, wrapVersion } from '../master-key';
import type { UserKeyDoc, UserKeyVersion } from './user-keys.collection';
import type { WrapStore } from './wrap-store/wrap-store';

export const userKeyContext = (ownerId: string, version: number): Buffer => wrapContext('user-key', ownerId, version);

const itemOf = (ownerId: string, entry: UserKeyVersion): UnwrapItem => ({
  wrapped: { masterVersion: entry.master_version, ciphertext: entry.wrapped },
  context: userKeyContext(ownerId, entry.version),
});

/**
 * Whether a complete entry names the master key version that its wrap names. Where it does not,
 * neither is believed.
 */
export const isConsistent = ({ wrapped, master_version }: UserKeyVersion): boolean =>
  wrapVersion(wrapped) === master_version;

export const lowestMasterVersion = (versions: readonly UserKeyVersion[]): number =>
  Math.min(...versions.map((entry) => entry.master_version));

/** `key` as the first version of an owner's key. @throws DomainError `kms_unavailable`. */
export async function wrapFirst(
  masterKey: MasterKey,
  masterVersion: number,
  ownerId: string,
  key: SecretBytes,
  now: number,
): Promise<UserKeyVersion> {
  const [wrap] = await masterKey.wrap(masterVersion, [{ key, context: userKeyContext(ownerId, 1) }]);
  if (wrap === undefined) throw new TypeError('a wrap gave no answer');
  const { ciphertext: wrapped, masterVersion: master_version } = wrap;
  return { version: 1, wrapped, master_version, key_id: newId(), created_at: now };
}

/** Every version of a row, opened. Where one of them does not open, none is returned. */
export async function unwrapVersions(
  masterKey: MasterKey,
  row: UserKeyDoc,
): Promise<Map<number, SecretBytes> | undefined> {
  const results = await inBatches(
    row.versions.map((entry) => itemOf(row._id, entry)),
    (items) => masterKey.unwrap(items),
  );
  const opened = results.flatMap((result) => (result.ok ? [result.value] : []));
  if (opened.length === row.versions.length) {
    return new Map(row.versions.map(({ version }, at) => [version, required(opened[at])]));
  }
  for (const key of opened) key.destroy();
  return undefined;
}

/**
 * Whether two wraps of one version of an owner's key hold the same key. False where one of them
 * does not open.
 */
export async function holdSameKey(
  masterKey: MasterKey,
  ownerId: string,
  [one, other]: readonly [UserKeyVersion, UserKeyVersion],
): Promise<boolean> {
  if (one.version !== other.version) return false;
  if (one.wrapped === other.wrapped) return true;
  const results = await masterKey.unwrap([itemOf(ownerId, one), itemOf(ownerId, other)]);
  const [first, second] = results.map((result) => (result.ok ? result.value : undefined));
  const isSame = first !== undefined && second !== undefined && equalBytes(first.bytes, second.bytes);
  first?.destroy();
  second?.destroy();
  return isSame;
}

/**
 * Each row with every older wrap in it made anew under `target`; order kept. A row with one wrap
 * that is refused is refused as a whole, so that it is either done or in quarantine.
 */
export async function rewrapVersions(
  masterKey: MasterKey,
  target: number,
  rows: readonly UserKeyDoc[],
): Promise<ItemResult<UserKeyDoc>[]> {
  const doubtful = rows.map((row) => !row.versions.every(isConsistent));
  const older = rows.map((row, at) =>
    doubtful[at] === true ? [] : row.versions.filter((entry) => entry.master_version < target),
  );
  const items = rows.flatMap((row, at) => (older[at] ?? []).map((entry) => itemOf(row._id, entry)));
  const results = (await inBatches(items, (batch) => masterKey.rewrap(target, batch))).values();
  return rows.map((row, at) => {
    const fresh = new Map<number, UserKeyVersion>();
    let reason = doubtful[at] === true ? 'the wrap is of another master key version' : undefined;
    for (const entry of older[at] ?? []) {
      const result = required(results.next().value);
      if (!result.ok) reason ??= result.reason;
      else fresh.set(entry.version, { ...entry, wrapped: result.value.ciphertext, master_version: target });
    }
    return reason === undefined ? { ok: true, value: withVersions(row, fresh) } : { ok: false, reason };
  });
}

/**
 * As `rewrapVersions`, of rows as the store keeps them; the results are complete. Rows whose wraps
 * are not to be found are refused.
 */
export async function rewrapStored(
  wraps: WrapStore,
  masterKey: MasterKey,
  target: number,
  rows: readonly UserKeyDoc[],
): Promise<ItemResult<UserKeyDoc>[]> {
  const loaded = await wraps.get(rows);
  const complete = loaded.flatMap((result) => (result.ok ? [result.value] : []));
  const results = (await rewrapVersions(masterKey, target, complete)).values();
  return loaded.map((result) => (result.ok ? required(results.next().value) : result));
}

/** The row with these versions in place of its own ones, and out of quarantine. */
function withVersions(row: UserKeyDoc, fresh: ReadonlyMap<number, UserKeyVersion>): UserKeyDoc {
  const versions = row.versions.map((entry) => fresh.get(entry.version) ?? entry);
  const { quarantine: _, quarantine_target: __, ...rest } = row;
  return { ...rest, versions, master_version: lowestMasterVersion(versions), quarantined: false };
}

async function inBatches<In, Out>(
  items: readonly In[],
  work: (batch: readonly In[]) => Promise<Out[]>,
): Promise<Out[]> {
  const results: Out[] = [];
  for (let start = 0; start < items.length; start += MAX_BATCH) {
    results.push(...(await work(items.slice(start, start + MAX_BATCH))));
  }
  return results;
}

function required<T>(value: T | undefined): T {
  if (value === undefined)
    throw new DomainError('kms_unavailable', { detail: 'The key service returned too few items.' });
  return value;
}
