import { ciphertext, plaintext } from '../../kernel';
import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';

/** From where a session was opened: shown to its owner, sealed in the store. */
export interface ClientInfo {
  readonly address: string;
  readonly userAgent: string;
}

const MAX_USER_AGENT = 256;

const place = (userId: string, sessionId: string): EncryptionContext => ({
  ownerId: userId,
  resourceType: 'session',
  resourceId: sessionId,
  field: 'client',
});

/** Record envelope in hex. */
export function sealClient(keys: OwnerKeys, sessionId: string, { address, userAgent }: ClientInfo): string {
  const text = JSON.stringify([address, userAgent.slice(0, MAX_USER_AGENT)]);
  return keys.seal('secrets', place(keys.ownerId, sessionId), plaintext(Buffer.from(text, 'utf8'))).toString('hex');
}

/** @throws DomainError `decryption_failed` */
export function openClient(keys: OwnerKeys, sessionId: string, sealed: string): ClientInfo {
  const envelope = ciphertext(Buffer.from(sealed, 'hex'));
  const text = keys.open('secrets', place(keys.ownerId, sessionId), envelope).toString('utf8');
  const [address, userAgent] = JSON.parse(text) as [string, string];
  return { address, userAgent };
}
