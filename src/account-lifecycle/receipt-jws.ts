import { ed25519PublicKey, publicKeyId, signEd25519, verifyEd25519 } from '../crypto';
import { SecretBytes } from '../kernel';
import { ErasureReceipt, RECEIPT_FORMAT } from './receipt';

const TYPE = 'coffer-receipt+jws';
const JWS = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** The reason why a receipt is rejected. */
export class ReceiptFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReceiptFault';
  }
}

/** Signs a receipt: compact JWS (RFC 7515) with EdDSA (RFC 8037), whose payload is the receipt. */
export function signReceipt(receipt: ErasureReceipt, seed: SecretBytes): string {
  const header = { alg: 'EdDSA', typ: TYPE, kid: publicKeyId(ed25519PublicKey(seed)) };
  const signed = `${encoded(header)}.${encoded(receipt)}`;
  return `${signed}.${signEd25519(seed, signed).toString('base64url')}`;
}

/**
 * Verifies the JSON response of an erasure (`receipt` and `signature`) or a bare JWS, and returns
 * the signed payload.
 * @throws ReceiptFault; TypeError if `publicKey` is not an Ed25519 key in PEM
 */
export function verifyReceipt(text: string, publicKey: string): ErasureReceipt {
  const { jws, shown } = read(text.trim());
  const [, header = '', payload = '', signature = ''] = JWS.exec(jws) ?? [];
  if (header === '') throw new ReceiptFault('This is no receipt.');
  const { alg, typ, kid } = decoded(header);
  if (alg !== 'EdDSA' || typ !== TYPE) throw new ReceiptFault('This is no receipt, but a signature of another kind.');
  if (kid !== publicKeyId(publicKey)) throw new ReceiptFault('The receipt was signed with another key than this one.');
  if (!verifyEd25519(publicKey, `${header}.${payload}`, Buffer.from(signature, 'base64url'))) {
    throw new ReceiptFault('The signature does not hold: the receipt was changed, or made by somebody else.');
  }
  const receipt = decoded(payload);
  if (receipt['format'] !== RECEIPT_FORMAT || receipt['format_version'] !== 1) {
    throw new ReceiptFault('The receipt is of a form that this version does not know.');
  }
  if (shown !== undefined && JSON.stringify(shown) !== JSON.stringify(receipt)) {
    throw new ReceiptFault('The receipt shown beside the signature is not the one that was signed.');
  }
  return receipt as unknown as ErasureReceipt;
}

function read(text: string): { readonly jws: string; readonly shown: unknown } {
  if (!text.startsWith('{')) return { jws: text, shown: undefined };
  const { receipt, signature } = parsed(text);
  return { jws: typeof signature === 'string' ? signature : '', shown: receipt };
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');

const decoded = (part: string): Record<string, unknown> => parsed(Buffer.from(part, 'base64url').toString('utf8'));

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Invalid JSON is rejected below.
  }
  throw new ReceiptFault('This is no receipt.');
}
