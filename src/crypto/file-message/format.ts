import { TAG_BYTES } from '../aead';
import { KEY_BYTES } from '../random';

/**
 * Message format version 2, suite 0x0478: AES-256-GCM, HKDF-SHA512, key commitment, no signature.
 */
export const VERSION_AND_SUITE = Buffer.from('020478', 'hex');
export const SUITE = VERSION_AND_SUITE.subarray(1);
/** Content type "framed", the only one that can be read in constant memory. */
export const FRAMED = 2;
export const MESSAGE_ID_BYTES = 32;
export const COMMITMENT_BYTES = 32;
/** Data key and its tag. */
export const WRAPPED_DATA_KEY_BYTES = KEY_BYTES + TAG_BYTES;
