import { newKey } from '../../../crypto';
import { isoTime, SecretBytes } from '../../../kernel';

/** `kv/master_key` as it stands in Vault (docs/formats.md): all live versions of the master key. */
export interface MasterDocument {
  readonly versions: Readonly<Record<string, { readonly key: string; readonly created_at: string }>>;
  readonly current: number;
}

const KEY = /^[0-9a-f]{64}$/;
const VERSION = /^[1-9]\d{0,8}$/;

/** Undefined for anything else than such a document: nothing is ever written over one that cannot be read. */
export function parseMasterDocument(data: Readonly<Record<string, unknown>>): MasterDocument | undefined {
  const { versions, current } = data;
  if (typeof versions !== 'object' || versions === null || Array.isArray(versions)) return undefined;
  const sound = Object.entries(versions).every(([version, entry]) => VERSION.test(version) && isEntry(entry));
  if (!sound || typeof current !== 'number' || !Object.hasOwn(versions, String(current))) return undefined;
  return { versions: versions as MasterDocument['versions'], current };
}

function isEntry(value: unknown): boolean {
  const { key, created_at } = (value ?? {}) as { key?: unknown; created_at?: unknown };
  return typeof key === 'string' && KEY.test(key) && typeof created_at === 'string' && !isNaN(Date.parse(created_at));
}

/** One version more than `document` has, or the first one; beyond `expected`, where that is further. */
export function withNewVersion(document: MasterDocument | undefined, now: number, expected = 0): MasterDocument {
  const current = Math.max(document?.current ?? 0, expected) + 1;
  const key = newKey();
  try {
    const entry = { key: key.bytes.toString('hex'), created_at: isoTime(now) };
    return { versions: { ...document?.versions, [String(current)]: entry }, current };
  } finally {
    key.destroy();
  }
}

/** `document` without `version` and all before it. */
export function withoutVersions({ versions, current }: MasterDocument, version: number): MasterDocument {
  return {
    versions: Object.fromEntries(Object.entries(versions).filter(([known]) => Number(known) > version)),
    current,
  };
}

/** The keys of a document. The caller destroys them. */
export const keysOf = ({ versions }: MasterDocument): Map<number, SecretBytes> =>
  new Map(
    Object.entries(versions).map(([version, { key }]) => [Number(version), new SecretBytes(Buffer.from(key, 'hex'))]),
  );
