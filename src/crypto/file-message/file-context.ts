import { SecretBytes } from '../../kernel';

/**
 * Which file a message belongs to. It stands in clear in the message's header, so it holds opaque ids only, and a reader demands
 * exactly the one that it asked for: the format proves that a context is authentic, not that it is the right one.
 */
export interface FileContext {
  readonly fileId: string;
  readonly ownerId: string;
  /** The file's version number, from 1. */
  readonly version: number;
  /** Number of the upload attempt, in the staged messages of a resumable upload only. */
  readonly attempt?: number;
}

/** Provider id of the one encrypted data key; what SDKs call the key namespace. */
export const KEY_NAMESPACE = 'coffer';

/** What SDKs call the key name: one per version of a file. */
export const keyNameOf = (context: FileContext): string => `file/${context.fileId}/${context.version}`;

/** What an AWS Encryption SDK raw AES keyring needs to open a stored message (GET /files/{id}/key). */
export interface KeyExport {
  readonly namespace: string;
  readonly keyName: string;
  /** 32 bytes in lowercase hex. This is the file key itself: it opens this one version of this one file. */
  readonly key: string;
}

export const keyExport = (fileKey: SecretBytes, context: FileContext): KeyExport => ({
  namespace: KEY_NAMESPACE,
  keyName: keyNameOf(context),
  key: fileKey.bytes.toString('hex'),
});

/** The encryption context as the message format writes it: count, then key and value each with its length, sorted by key bytes. */
export function encodeFileContext(context: FileContext): Buffer {
  const entries: [string, string][] = [
    ['coffer:file', context.fileId],
    ['coffer:owner', context.ownerId],
    ['coffer:ver', String(context.version)],
  ];
  if (context.attempt !== undefined) entries.unshift(['coffer:attempt', String(context.attempt)]);
  return Buffer.concat([uint16(entries.length), ...entries.flat().map(withLength)]);
}

/** Bytes, or a text in UTF-8, with their length before them (u16). */
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
