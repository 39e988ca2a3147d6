import { DomainError } from '../kernel';

/** The strong entity tag of a document's revision. */
export const etag = (rev: number): string => `"${rev}"`;

/**
 * Checks If-Match (RFC 9110, 13.1.1) with strong comparison, so a weak tag never matches. Without
 * the header, any revision may be changed. `current` holds the current tags.
 * @throws DomainError `precondition_failed`
 */
export function requireMatch(ifMatch: string | undefined, ...current: readonly string[]): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (!tags.some((tag) => current.includes(tag))) {
    throw new DomainError('precondition_failed', {
      detail: 'The resource has changed since the revision in If-Match.',
    });
  }
}
