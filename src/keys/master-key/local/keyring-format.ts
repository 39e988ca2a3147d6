/** `keyring.json` as it stands on disk (docs/formats.md). Hex is lowercase, `sealed` is base64 of nonce, ciphertext and tag. */
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
