import { aeadOpen, aeadSeal, encodeContext, equalBytes, hkdf, hmacSha256, newKey, randomSecret } from '../../../crypto';
import { isDomainError, isoTime, SecretBytes } from '../../../kernel';
import { nextMasterVersion } from '../software-master-key';

/**
 * `keyring.json` as it stands on disk (docs/formats.md). Hex is lowercase, `sealed` is base64 of
 * nonce, ciphertext and tag.
 */
export interface KeyringFileDoc {
  readonly format: 'coffer-keyring';
  readonly format_version: 1;
  readonly salt: string;
  readonly root_check: string;
  readonly generation: number;
  readonly current: number;
  readonly versions: readonly { readonly version: number; readonly created_at: string; readonly sealed: string }[];
  readonly mac: string;
}

export type KeyringFaultKind = 'wrong_root_key' | 'damaged' | 'newer_format' | 'unreadable' | 'copy';

const COPY = 'a copy of another generation has the name of the next one, move it out of the folder';

/** Why a keyring file that is there does not open. Nothing is ever written over such a file. */
export class KeyringFault extends Error {
  constructor(
    readonly kind: KeyringFaultKind,
    /** The operating system's code, as EACCES. */
    readonly code?: string,
    readonly file = 'keyring.json',
  ) {
    super(`${file}: ${kind === 'copy' ? COPY : kind}${code === undefined ? '' : ` (${code})`}`);
    this.name = 'KeyringFault';
  }
}

/** @throws KeyringFault `damaged` or `newer_format`. */
export function parseKeyringDoc(text: string): KeyringFileDoc {
  const doc = parseJson(text);
  if (doc['format'] !== 'coffer-keyring') throw new KeyringFault('damaged');
  if (doc['format_version'] !== 1) throw new KeyringFault('newer_format');
  if (!isKeyringDoc(doc)) throw new KeyringFault('damaged');
  return doc;
}

type Unchecked = Readonly<Record<string, unknown>>;

function parseJson(text: string): Unchecked {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Falls through: what is no JSON is as damaged as what is no object.
  }
  throw new KeyringFault('damaged');
}

const isObject = (value: unknown): value is Unchecked => typeof value === 'object' && value !== null;
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const isHex32 = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isBase64 = (value: unknown): value is string => typeof value === 'string' && /^[A-Za-z0-9+/]+=*$/.test(value);
const isTime = (value: unknown): value is string => typeof value === 'string' && !Number.isNaN(Date.parse(value));

function isKeyringDoc(doc: Unchecked): doc is Unchecked & KeyringFileDoc {
  return (
    isHex32(doc['salt']) &&
    isHex32(doc['root_check']) &&
    isHex32(doc['mac']) &&
    isWhole(doc['generation']) &&
    isWhole(doc['current']) &&
    Array.isArray(doc['versions']) &&
    doc['versions'].every(isVersion)
  );
}

const isVersion = (value: unknown): boolean =>
  isObject(value) && isWhole(value['version']) && isTime(value['created_at']) && isBase64(value['sealed']);

const SALT_BYTES = 32;
const SEAL_INFO = 'coffer:keyring:1:seal';
const MAC_INFO = 'coffer:keyring:1:mac';
const CHECK_TEXT = 'coffer:keyring:1:root-check';

export interface KeyringVersion {
  readonly key: SecretBytes;
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** The opened keyring: every version of the local master key. */
export interface Keyring {
  /** Counts the rewrites of the file: which one a lock is for. */
  readonly generation: number;
  readonly current: number;
  readonly versions: ReadonlyMap<number, KeyringVersion>;
}

export const newKeyring = (now: number): Keyring => ({
  generation: 1,
  current: 1,
  versions: new Map([[1, { key: newKey(), createdAt: now }]]),
});

/**
 * `keyring` with one version more, beyond `expected` where that is further. Takes the keys of the
 * former one over: only one of the two may be destroyed.
 */
export function withNewVersion(keyring: Keyring, now: number, expected = 0): Keyring {
  const current = nextMasterVersion(keyring.current, expected);
  return {
    generation: keyring.generation + 1,
    current,
    versions: new Map([...keyring.versions, [current, { key: newKey(), createdAt: now }]]),
  };
}

/**
 * `keyring` without `version` and all before it. Takes the keys that stay over, and destroys the
 * others.
 */
export function withoutVersions(keyring: Keyring, version: number): Keyring {
  for (const [number, { key }] of keyring.versions) if (number <= version) key.destroy();
  const versions = new Map([...keyring.versions].filter(([number]) => number > version));
  return { generation: keyring.generation + 1, current: keyring.current, versions };
}

export function destroyKeyring(keyring: Keyring): void {
  for (const { key } of keyring.versions.values()) key.destroy();
}

/**
 * Seals each version under a subkey of the root key, and all of it under a MAC: what is current and
 * what is left out is no one's to change.
 */
export function sealKeyring(keyring: Keyring, rootKey: string): string {
  const salt = randomSecret(SALT_BYTES);
  const keys = subkeys(rootKey, salt);
  try {
    const doc = {
      format: 'coffer-keyring' as const,
      format_version: 1 as const,
      salt: salt.toString('hex'),
      root_check: hmacSha256(keys.mac, CHECK_TEXT).toString('hex'),
      generation: keyring.generation,
      current: keyring.current,
      versions: [...keyring.versions].map(([version, { key, createdAt }]) => ({
        version,
        created_at: isoTime(createdAt),
        sealed: aeadSeal(keys.seal, key.bytes, versionContext(version, isoTime(createdAt))).toString('base64'),
      })),
    };
    return `${JSON.stringify({ ...doc, mac: mac(keys.mac, doc).toString('hex') }, undefined, 2)}\n`;
  } finally {
    keys.destroy();
  }
}

/** @throws KeyringFault `wrong_root_key`, `damaged` or `newer_format`. */
export function openKeyring(text: string, rootKey: string): Keyring {
  const doc = parseKeyringDoc(text);
  const keys = subkeys(rootKey, Buffer.from(doc.salt, 'hex'));
  try {
    const check = hmacSha256(keys.mac, CHECK_TEXT);
    if (!equalBytes(check, Buffer.from(doc.root_check, 'hex'))) throw new KeyringFault('wrong_root_key');
    if (!equalBytes(mac(keys.mac, doc), Buffer.from(doc.mac, 'hex'))) throw new KeyringFault('damaged');
    const versions = new Map(doc.versions.map((entry) => [entry.version, openVersion(entry, keys.seal)]));
    if (!versions.has(doc.current)) throw new KeyringFault('damaged');
    return { generation: doc.generation, current: doc.current, versions };
  } finally {
    keys.destroy();
  }
}

function openVersion(entry: KeyringFileDoc['versions'][number], sealKey: SecretBytes): KeyringVersion {
  try {
    const context = versionContext(entry.version, entry.created_at);
    const key = new SecretBytes(aeadOpen(sealKey, Buffer.from(entry.sealed, 'base64'), context));
    return { key, createdAt: Date.parse(entry.created_at) };
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) throw new KeyringFault('damaged');
    throw error;
  }
}

const versionContext = (version: number, createdAt: string): Buffer =>
  encodeContext(['coffer-keyring', 1, version, createdAt]);

function mac(key: SecretBytes, doc: Omit<KeyringFileDoc, 'mac'>): Buffer {
  const versions = doc.versions.flatMap((entry) => [entry.version, entry.created_at, entry.sealed]);
  return hmacSha256(
    key,
    encodeContext([doc.format, doc.format_version, doc.salt, doc.root_check, doc.generation, doc.current, ...versions]),
  );
}

function subkeys(rootKey: string, salt: Buffer): { seal: SecretBytes; mac: SecretBytes; destroy(): void } {
  const root = new SecretBytes(Buffer.from(rootKey, 'utf8'));
  const keys = { seal: hkdf(root, salt, SEAL_INFO), mac: hkdf(root, salt, MAC_INFO) };
  root.destroy();
  return {
    ...keys,
    destroy: () => {
      keys.seal.destroy();
      keys.mac.destroy();
    },
  };
}
