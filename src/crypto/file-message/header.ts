import { SecretBytes } from '../../kernel';
import { gcmDecrypt, gcmEncrypt, NONCE_BYTES, TAG_BYTES } from '../aead';
import { decryptionFailed } from '../format-fault';
import { equalBytes, hkdf } from '../hash';
import { KEY_BYTES, newKey, randomSecret } from '../random';
import { encodeFileContext, FileContext, KEY_NAMESPACE, keyNameOf, uint16, uint32, withLength } from './file-context';
import { COMMITMENT_BYTES, FRAMED, MESSAGE_ID_BYTES, SUITE, VERSION_AND_SUITE, WRAPPED_DATA_KEY_BYTES } from './format';
import { parseHeader } from './header-parser';
import { FRAME_BYTES } from './layout';

// The header's tag uses nonce 0; frames count from 1. A header is therefore written only once for a
// data key: two tags under one nonce reveal the authentication key.
const HEADER_NONCE = Buffer.alloc(NONCE_BYTES);
const EMPTY = Buffer.alloc(0);

/** Keys and parameters for the frames of one message. The holder destroys the frame key. */
export interface MessageKeys {
  readonly messageId: Buffer;
  readonly frameKey: SecretBytes;
  readonly frameBytes: number;
}

/** Size of a header without context, namespace and key name. */
const FIXED_BYTES =
  VERSION_AND_SUITE.length +
  MESSAGE_ID_BYTES +
  (2 + 2 + 2 + 2 + 4 + 4 + NONCE_BYTES + 2 + WRAPPED_DATA_KEY_BYTES) +
  (1 + 4 + COMMITMENT_BYTES + TAG_BYTES);

/** Size of the header of every message with this context; no other value affects it. */
export const headerSize = (context: FileContext): number =>
  FIXED_BYTES +
  encodeFileContext(context).length +
  Buffer.byteLength(KEY_NAMESPACE) +
  Buffer.byteLength(keyNameOf(context));

/** Creates the header of a new message, with a new data key and message id. */
export function newHeader(fileKey: SecretBytes, context: FileContext): MessageKeys & { readonly header: Buffer } {
  const messageId = randomSecret(MESSAGE_ID_BYTES);
  const dataKey = newKey();
  try {
    const { frameKey, commitment } = deriveKeys(dataKey, messageId);
    const body = headerBody(messageId, context, wrapDataKey(fileKey, dataKey, context), commitment);
    const header = Buffer.concat([body, gcmEncrypt(frameKey, HEADER_NONCE, EMPTY, body)]);
    return { header, messageId, frameKey, frameBytes: FRAME_BYTES };
  } finally {
    dataKey.destroy();
  }
}

/**
 * Verifies a header against the expected context (not the context that the header claims) and
 * derives the message's keys.
 * @throws DomainError `decryption_failed`
 */
export function openHeader(header: Buffer, fileKey: SecretBytes, context: FileContext): MessageKeys {
  const parsed = parseHeader(header);
  if (!equalBytes(parsed.context, encodeFileContext(context))) throw decryptionFailed('context');
  if (parsed.provider !== KEY_NAMESPACE) throw decryptionFailed('provider');
  if (parsed.keyName !== keyNameOf(context)) throw decryptionFailed('key-name');
  const bytes = gcmDecrypt(fileKey, parsed.dataKeyNonce, parsed.wrappedDataKey, parsed.context);
  if (bytes === undefined) throw decryptionFailed('data-key');
  const dataKey = new SecretBytes(bytes);
  const { frameKey, commitment } = deriveKeys(dataKey, parsed.messageId);
  dataKey.destroy();
  try {
    if (!equalBytes(commitment, parsed.commitment)) throw decryptionFailed('commitment');
    const verified = gcmDecrypt(frameKey, HEADER_NONCE, parsed.tag, parsed.body);
    if (verified === undefined) throw decryptionFailed('header-tag');
  } catch (fault) {
    frameKey.destroy();
    throw fault;
  }
  return { messageId: Buffer.from(parsed.messageId), frameKey, frameBytes: parsed.frameBytes };
}

function deriveKeys(dataKey: SecretBytes, messageId: Buffer): { frameKey: SecretBytes; commitment: Buffer } {
  const deriveLabel = Buffer.concat([SUITE, Buffer.from('DERIVEKEY')]);
  return {
    frameKey: hkdf(dataKey, messageId, deriveLabel, KEY_BYTES, 'sha512'),
    commitment: hkdf(dataKey, messageId, 'COMMITKEY', COMMITMENT_BYTES, 'sha512').bytes,
  };
}

/**
 * The one encrypted data key in the form of a raw AES keyring of the official SDKs: provider, key
 * info, ciphertext.
 */
function wrapDataKey(fileKey: SecretBytes, dataKey: SecretBytes, context: FileContext): Buffer {
  const nonce = randomSecret(NONCE_BYTES);
  const keyInfo = Buffer.concat([
    Buffer.from(keyNameOf(context), 'utf8'),
    uint32(TAG_BYTES * 8),
    uint32(NONCE_BYTES),
    nonce,
  ]);
  const wrapped = gcmEncrypt(fileKey, nonce, dataKey.bytes, encodeFileContext(context));
  return Buffer.concat([withLength(KEY_NAMESPACE), withLength(keyInfo), withLength(wrapped)]);
}

function headerBody(messageId: Buffer, context: FileContext, wrappedDataKey: Buffer, commitment: Buffer): Buffer {
  return Buffer.concat([
    VERSION_AND_SUITE,
    messageId,
    withLength(encodeFileContext(context)),
    uint16(1),
    wrappedDataKey,
    Buffer.of(FRAMED),
    uint32(FRAME_BYTES),
    commitment,
  ]);
}
