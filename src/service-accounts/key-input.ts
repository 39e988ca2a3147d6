import { isNetwork } from '../http';
import { DomainError, FieldFault, isoTime, parseScope, scopeText } from '../kernel';
import { ApiKeyDoc } from './api-key.collection';
import { ApiKeyDto } from './service-accounts.dto';

/** Scopes as they are kept: each once, in our own form. @throws DomainError `validation_failed` */
export function scopesFrom(texts: readonly string[], isAllowed: (scope: string) => boolean = () => true): string[] {
  const parsed = texts.map((text) => parseScope(text));
  const isBad = (at: number): boolean => parsed[at] === undefined || !isAllowed(parsed[at].scope);
  requireNone(
    texts.flatMap((_, at) =>
      isBad(at) ? [{ pointer: `/scopes/${at}`, message: 'is not a scope that a key can have here' }] : [],
    ),
  );
  return [...new Set(parsed.flatMap((scope) => (scope === undefined ? [] : scopeText(scope))))];
}

/** @throws DomainError `validation_failed` */
export function networksFrom(texts: readonly string[]): readonly string[] {
  const bad = (text: string, at: number): FieldFault[] =>
    isNetwork(text)
      ? []
      : [{ pointer: `/allowed_addresses/${at}`, message: 'must be an address or a network in CIDR' }];
  requireNone(texts.flatMap(bad));
  return texts;
}

function requireNone(fields: readonly FieldFault[]): void {
  if (fields.length > 0) throw new DomainError('validation_failed', { fields: fields.slice(0, 20) });
}

const timeOrNull = (at: number | undefined): string | null => (at === undefined ? null : isoTime(at));

export const keyDto = (row: ApiKeyDoc): ApiKeyDto => ({
  id: row._id,
  name: row.name ?? null,
  created_at: isoTime(row.created_at),
  expires_at: timeOrNull(row.expires_at),
  last_used_at: timeOrNull(row.last_used_at),
  allowed_addresses: [...row.allowed_addresses],
});

export const expiryOf = ({ expires_at }: ApiKeyDoc): string | null => timeOrNull(expires_at);
