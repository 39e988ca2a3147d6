import { equalBytes, sha256 } from '../crypto';
import { DomainError } from '../kernel';

/** RFC 6750, 2.1. The scheme's case does not matter; another scheme is no token. @throws DomainError `unauthenticated` */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header.trim())?.[1];
  if (token !== undefined) return token;
  throw new DomainError('unauthenticated', { detail: 'The Authorization header holds no bearer token.' });
}

/** Holds a request against a fixed token, as METRICS_TOKEN. @throws DomainError `unauthenticated` */
export function requireToken(header: string | undefined, expected: string): void {
  const sent = bearerToken(header) ?? '';
  // Hashed first: a comparison in constant time of equal lengths tells nothing about the length of the token either.
  if (!equalBytes(sha256(sent), sha256(expected))) throw new DomainError('unauthenticated');
}
