import { isoTime, StartupError } from '../../../../kernel';
import { type KvDocuments, unavailable } from '../../../../vault-client';
import type { StoredWrap } from '../wrap-store';

/** `kv/user_keys/<username>` as the program sees it. */
export type UserKeyDocument =
  | { readonly state: 'free' }
  | { readonly state: 'erasing'; readonly userId: string }
  | { readonly state: 'active'; readonly userId: string; readonly entries: readonly StoredWrap[] };

type Json = Readonly<Record<string, unknown>>;

const SEALED_HERE = /^(kv|local):v[1-9]\d*:([A-Za-z0-9+/]+={0,2})$/;
const NONCE_BYTES = 12;

export const FREE: Json = { state: 'free' };
export const tombstone = (userId: string): Json => ({ user_id: userId, state: 'erasing' });
/** The name is taken for an owner whose wraps are about to come: there is nothing in it yet. */
export const claim = (userId: string): Json => ({ user_id: userId, state: 'claimed' });

/** The newest version at the top, where a person looks; former ones below it. */
export function documentOf(userId: string, entries: readonly StoredWrap[]): Json {
  const [newest, ...others] = entries.toSorted((a, b) => b.version - a.version || a.created_at - b.created_at);
  const shown = newest === undefined ? {} : entryJson(newest);
  return { user_id: userId, ...shown, ...(others.length === 0 ? {} : { others: others.map(entryJson) }) };
}

/** Undefined for anything else: nothing is ever written over a document that cannot be read. */
export function parseDocument(data: Json | undefined): UserKeyDocument | undefined {
  if (data === undefined || data['state'] === 'free') return { state: 'free' };
  const userId = data['user_id'];
  if (typeof userId !== 'string' || userId === '') return undefined;
  if (data['state'] === 'erasing') return { state: 'erasing', userId };
  if (data['state'] === 'claimed') return { state: 'active', userId, entries: [] };
  const others = Array.isArray(data['others']) ? (data['others'] as unknown[]) : [];
  const entries = [data, ...others].map(parseEntry);
  const sound = entries.filter((entry) => entry !== undefined);
  return sound.length === entries.length ? { state: 'active', userId, entries: sound } : undefined;
}

function entryJson(entry: StoredWrap): Json {
  const { version, key_id, master_version, created_at, wrapped } = entry;
  return { version, key_id, master_version, created_at: isoTime(created_at), ...wrapJson(wrapped) };
}

/**
 * Transit's ciphertext as it is; what this process wrapped as `key` (ciphertext and tag) and
 * `nonce`, in hex.
 */
function wrapJson(wrapped: string): Json {
  const [, home, sealed] = SEALED_HERE.exec(wrapped) ?? [];
  if (home === undefined || sealed === undefined) return { ciphertext: wrapped };
  const bytes = Buffer.from(sealed, 'base64');
  const nonce = bytes.subarray(0, NONCE_BYTES).toString('hex');
  return { wrapped_by: home, key: bytes.subarray(NONCE_BYTES).toString('hex'), nonce };
}

function parseEntry(value: unknown): StoredWrap | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const entry = value as Json;
  const { version, key_id, master_version, created_at } = entry;
  const wrapped = parseWrap(entry);
  if (typeof version !== 'number' || typeof key_id !== 'string' || typeof master_version !== 'number') return undefined;
  if (typeof created_at !== 'string' || wrapped === undefined) return undefined;
  return { version, key_id, master_version, created_at: Date.parse(created_at), wrapped };
}

function parseWrap({ ciphertext, wrapped_by, key, nonce, master_version }: Json): string | undefined {
  if (typeof ciphertext === 'string') return ciphertext;
  if (typeof key !== 'string' || typeof nonce !== 'string') return undefined;
  const sealed = Buffer.from(nonce + key, 'hex').toString('base64');
  return `${String(wrapped_by)}:v${String(master_version)}:${sealed}`;
}

/**
 * No user name, which begins with a letter or a digit; under the path that the service's policy has
 * for user keys anyway.
 */
export const MOUNT_MARK = 'user_keys/_installation';

/**
 * Binds a KV mount to the installation that comes first. Documents are stored under user names
 * there, so a second installation on the same mount would end the keys of users who happen to have
 * the same names. By check-and-set: of many at once one comes first, and all read it.
 * @throws StartupError where it belongs to another installation
 */
export async function bindMount(documents: KvDocuments, installationId: string): Promise<void> {
  const found = await documents.read(MOUNT_MARK);
  if (found.data === undefined) await documents.write(MOUNT_MARK, { installation_id: installationId }, found.version);
  const { data } = found.data === undefined ? await documents.read(MOUNT_MARK) : found;
  const owner = data?.['installation_id'];
  if (owner === undefined) throw unavailable('no mark of the mount');
  if (owner === installationId) return;
  throw new StartupError(
    `${documents.mount}/user_keys in Vault holds user keys of another installation: start with the store that goes with them, or give ` +
      'this installation a KV mount of its own (VAULT_KV_MOUNT; docs/operations.md, "Whose keys they are").',
  );
}
