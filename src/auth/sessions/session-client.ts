import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';

/** The client that opened a session: shown to its owner, encrypted in the store. */
export interface ClientInfo {
  readonly address: string;
  readonly userAgent: string;
}

const MAX_USER_AGENT = 256;

const contextOf = (userId: string, sessionId: string): EncryptionContext => ({
  ownerId: userId,
  resourceType: 'session',
  resourceId: sessionId,
  field: 'client',
});

/** Record envelope in hex. */
export function sealClient(keys: OwnerKeys, sessionId: string, { address, userAgent }: ClientInfo): string {
  const text = JSON.stringify([address, userAgent.slice(0, MAX_USER_AGENT)]);
  return keys.sealText(contextOf(keys.ownerId, sessionId), text, 'secrets');
}

/** @throws DomainError `decryption_failed` */
export function openClient(keys: OwnerKeys, sessionId: string, sealed: string): ClientInfo {
  const text = keys.openText(contextOf(keys.ownerId, sessionId), sealed, 'secrets');
  const [address, userAgent] = JSON.parse(text) as [string, string];
  return { address, userAgent };
}
