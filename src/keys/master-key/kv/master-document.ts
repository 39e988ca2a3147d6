import { newKey } from '../../../crypto';
import { isoTime, SecretBytes } from '../../../kernel';
import { nextMasterVersion } from '../software-master-key';

/** `kv/master_key` as it stands in Vault (docs/formats.md): all live versions of the master key. */
export interface MasterDocument {
  readonly versions: Readonly<Record<string, { readonly key: string; readonly created_at: string }>>;
  readonly current: number;
  /**
   * Versions below it are gone from every earlier version of the document too. Written once that is
   * so.
   */
  readonly destroyed_below?: number;
  /** Whose master key it is. Missing in documents from before it was noted. */
  readonly installation_id?: string;
}

const KEY = /^[0-9a-f]{64}$/;
const VERSION = /^[1-9]\d{0,8}$/;

/**
 * Undefined for anything else than such a document: nothing is ever written over one that cannot be
 * read. Members of a later release stay.
 */
export function parseMasterDocument(data: Readonly<Record<string, unknown>>): MasterDocument | undefined {
  const { versions, current, destroyed_below, installation_id, ...others } = data;
  if (typeof versions !== 'object' || versions === null || Array.isArray(versions)) return undefined;
  const sound = Object.entries(versions).every(([version, entry]) => VERSION.test(version) && isEntry(entry));
  if (!sound || typeof current !== 'number' || !Object.hasOwn(versions, String(current))) return undefined;
  return {
    ...others,
    versions: versions as MasterDocument['versions'],
    current,
    ...(typeof destroyed_below === 'number' && { destroyed_below }),
    ...(typeof installation_id === 'string' && { installation_id }),
  };
}

function isEntry(value: unknown): boolean {
  const { key, created_at } = (value ?? {}) as { key?: unknown; created_at?: unknown };
  return typeof key === 'string' && KEY.test(key) && typeof created_at === 'string' && !isNaN(Date.parse(created_at));
}

/**
 * One version more than `document` has, or the first one; beyond `expected`, where that is further.
 */
export function withNewVersion(document: MasterDocument | undefined, now: number, expected = 0): MasterDocument {
  const current = nextMasterVersion(document?.current ?? 0, expected);
  const key = newKey();
  try {
    const entry = { key: key.bytes.toString('hex'), created_at: isoTime(now) };
    return { ...document, versions: { ...document?.versions, [String(current)]: entry }, current };
  } finally {
    key.destroy();
  }
}

/** `document` without `version` and all before it. */
export function withoutVersions(document: MasterDocument, version: number): MasterDocument {
  const kept = Object.entries(document.versions).filter(([known]) => Number(known) > version);
  return { ...document, versions: Object.fromEntries(kept) };
}

export const lowestVersion = ({ versions }: MasterDocument): number => Math.min(...Object.keys(versions).map(Number));

/** Whether versions were dropped that may stand in earlier versions of the document still. */
export const holdsDropped = (document: MasterDocument): boolean =>
  lowestVersion(document) > Math.max(1, document.destroyed_below ?? 0);

/** Whether `document` still has each key of `former` that is not older than its own oldest one. */
export function isKeptIn(document: MasterDocument, former: MasterDocument | undefined): boolean {
  const lowest = lowestVersion(document);
  return Object.entries(former?.versions ?? {}).every(
    ([version, { key }]) => Number(version) < lowest || document.versions[version]?.key === key,
  );
}

export const destroyedBefore = (document: MasterDocument): MasterDocument => ({
  ...document,
  destroyed_below: lowestVersion(document),
});

/** The keys of a document. The caller destroys them. */
export const keysOf = ({ versions }: MasterDocument): Map<number, SecretBytes> =>
  new Map(
    Object.entries(versions).map(([version, { key }]) => [Number(version), new SecretBytes(Buffer.from(key, 'hex'))]),
  );
