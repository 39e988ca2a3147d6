import { equalBytes, sha256 } from '../crypto';
import { DomainError } from '../kernel';

/**
 * Extracts a bearer token (RFC 6750, 2.1). The scheme is case-insensitive; another scheme is an
 * error.
 * @throws DomainError `unauthenticated`
 */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header.trim())?.[1];
  if (token !== undefined) return token;
  throw new DomainError('unauthenticated', { detail: 'The Authorization header holds no bearer token.' });
}

/**
 * Checks a request against a fixed token, such as METRICS_TOKEN.
 * @throws DomainError `unauthenticated`
 */
export function requireToken(header: string | undefined, expected: string): void {
  const sent = bearerToken(header) ?? '';
  // Hashes both first: a constant-time comparison of equal lengths does not reveal the length of
  // the token.
  if (!equalBytes(sha256(sent), sha256(expected))) throw new DomainError('unauthenticated');
}
