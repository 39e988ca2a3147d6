import { SecretBytes } from '../../kernel';

/**
 * The file to which a message belongs. The message header holds it in plaintext, so it contains
 * only opaque ids.
 * A reader requires exactly the context that it expects: the format proves that a context is
 * authentic, not that it is the right one.
 */
export interface FileContext {
  readonly fileId: string;
  readonly ownerId: string;
  /** The file's version number, from 1. */
  readonly version: number;
  /** Number of the upload attempt; only in the staged messages of a resumable upload. */
  readonly attempt?: number;
}

/** Provider id of the one encrypted data key; SDKs call it the key namespace. */
export const KEY_NAMESPACE = 'coffer';

/** SDKs call this the key name: one for each version of a file. */
export const keyNameOf = (context: FileContext): string => `file/${context.fileId}/${context.version}`;

/**
 * The data that a raw AES keyring of the AWS Encryption SDK needs to decrypt a stored message (GET
 * /files/{id}/key).
 */
export interface KeyExport {
  readonly namespace: string;
  readonly keyName: string;
  /** The file key, 32 bytes in lowercase hex. It decrypts only this version of this file. */
  readonly key: string;
}

export const keyExport = (fileKey: SecretBytes, context: FileContext): KeyExport => ({
  namespace: KEY_NAMESPACE,
  keyName: keyNameOf(context),
  key: fileKey.bytes.toString('hex'),
});

/**
 * The encryption context in the message format: count, then each key and value with its length,
 * sorted by key bytes.
 */
export function encodeFileContext(context: FileContext): Buffer {
  const entries: [string, string][] = [
    ['coffer:file', context.fileId],
    ['coffer:owner', context.ownerId],
    ['coffer:ver', String(context.version)],
  ];
  if (context.attempt !== undefined) entries.unshift(['coffer:attempt', String(context.attempt)]);
  return Buffer.concat([uint16(entries.length), ...entries.flat().map(withLength)]);
}

/** Bytes, or a text in UTF-8, prefixed with their length (u16). */
export function withLength(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([uint16(bytes.length), bytes]);
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
