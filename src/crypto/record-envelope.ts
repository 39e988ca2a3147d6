import { Ciphertext, ciphertext, isDomainError, Plaintext, plaintext, SecretBytes } from '../kernel';
import { AEAD_OVERHEAD, aeadOpen, aeadSeal } from './aead';
import { encodeContext } from './context';
import { decryptionFailed } from './format-fault';

const FORMAT = 1;
// First part of the additional data, so that data of another use of a subkey cannot pass as an
// envelope of this format.
const FORMAT_NAME = 'coffer:record:1';
const VERSION_OFFSET = 1;
const HEAD_BYTES = 3;
/** An envelope stores the version of its key in two bytes. */
export const MAX_KEY_VERSION = 0xffff;
/** Bytes that an envelope adds to its plaintext. */
export const ENVELOPE_OVERHEAD = HEAD_BYTES + AEAD_OVERHEAD;

/**
 * The encryption context of a sealed value. All of it is additional data, so a moved envelope does
 * not open.
 */
export interface EnvelopeContext {
  /** The subkey's purpose: `records`, `file-keys`, `secrets`, ... */
  readonly purpose: string;
  readonly ownerId: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly field: string;
  readonly fileVersion?: number;
}

/** Seals one value under a subkey of version `keyVersion` (1 to 65,535) of its owner's key. */
export function sealRecord(key: SecretBytes, keyVersion: number, place: EnvelopeContext, value: Plaintext): Ciphertext {
  return ciphertext(Buffer.concat([head(keyVersion), aeadSeal(key, value, additionalData(keyVersion, place))]));
}

/**
 * Opens an envelope with the subkey of the version in it (`envelopeVersion`).
 * @throws DomainError `decryption_failed`
 */
export function openRecord(key: SecretBytes, place: EnvelopeContext, envelope: Ciphertext): Plaintext {
  const keyVersion = envelopeVersion(envelope);
  return plaintext(aeadOpen(key, envelope.subarray(HEAD_BYTES), additionalData(keyVersion, place)));
}

/**
 * The user key version that an envelope claims. It is unverified until `openRecord` succeeds.
 * @throws DomainError `decryption_failed` if the bytes are not an envelope
 */
export function envelopeVersion(envelope: Ciphertext): number {
  if (envelope.length < ENVELOPE_OVERHEAD) throw decryptionFailed('length');
  if (envelope[0] !== FORMAT) throw decryptionFailed('format');
  const version = envelope.readUInt16BE(VERSION_OFFSET);
  if (version === 0) throw decryptionFailed('key-version');
  return version;
}

/**
 * The key version in an encoded envelope; 0 if there is no envelope or it is too damaged to hold a
 * version.
 */
export function versionIn(envelope: string | undefined, encoding: 'hex' | 'base64' = 'hex'): number {
  try {
    return envelope === undefined ? 0 : envelopeVersion(ciphertext(Buffer.from(envelope, encoding)));
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return 0;
    throw error;
  }
}

function head(keyVersion: number): Buffer {
  if (!Number.isInteger(keyVersion) || keyVersion < 1 || keyVersion > MAX_KEY_VERSION) {
    throw new TypeError(`a user key version is 1 to ${MAX_KEY_VERSION}`);
  }
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt8(FORMAT);
  bytes.writeUInt16BE(keyVersion, VERSION_OFFSET);
  return bytes;
}

const additionalData = (keyVersion: number, place: EnvelopeContext): Buffer =>
  encodeContext([
    FORMAT_NAME,
    place.purpose,
    keyVersion,
    place.ownerId,
    place.resourceType,
    place.resourceId,
    place.field,
    place.fileVersion,
  ]);
