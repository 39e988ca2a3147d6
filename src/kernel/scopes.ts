import { DomainError } from './errors';

/** What keys of services and persons can have, as requests and tokens name it. */
export const KEY_SCOPES = [
  'sensitive-data:read',
  'sensitive-data:write',
  'files:read',
  'files:write',
  'files:share',
  'keys:use',
  'subjects:create',
  'subjects:erase',
  'subjects:export',
] as const;

export type KeyScope = (typeof KEY_SCOPES)[number];

/**
 * What a route wants and a principal may have. `account` is a person's own account and keys,
 * `administration` that of others, `audit` the audit log: no key can hold any of them.
 * `subjects:list` comes with any scope on subjects.
 */
export type Scope = KeyScope | 'subjects:list' | 'account' | 'administration' | 'audit';

/**
 * A scope as a key has it. `within` is a data type, or a prefix of file names; absent where it is
 * not narrowed.
 */
export interface GrantedScope {
  readonly scope: KeyScope;
  readonly within?: string;
}

/** By what a scope can be narrowed; those that are not here cannot. */
const NARROWED_BY: Partial<Record<KeyScope, 'type' | 'prefix'>> = {
  'sensitive-data:read': 'type',
  'sensitive-data:write': 'type',
  'files:read': 'prefix',
  'files:write': 'prefix',
  'files:share': 'prefix',
};

const DATA_TYPE = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const MAX_NAME_BYTES = 255;
/** RFC 6749, 3.3: what a scope is written with. Of a prefix all else is percent-encoded. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/**
 * A scope from its text, as `files:read:invoices-%20`; undefined where there is none of this text.
 */
export function parseScope(text: string): GrantedScope | undefined {
  const [, name = '', , narrowing] = /^([a-z-]+:[a-z]+)(:(.*))?$/s.exec(text) ?? [];
  const scope = KEY_SCOPES.find((known) => known === name);
  if (scope === undefined || !SCOPE_TOKEN.test(text)) return undefined;
  if (narrowing === undefined) return { scope };
  const within = decoded(narrowing);
  const by = NARROWED_BY[scope];
  if (within === undefined || within === '' || by === undefined) return undefined;
  const isValid = by === 'type' ? DATA_TYPE.test(within) : isPrefix(within);
  return isValid ? { scope, within } : undefined;
}

const isPrefix = (text: string): boolean => Buffer.byteLength(text, 'utf8') <= MAX_NAME_BYTES && !text.includes('\0');

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The text of a scope, in the one form that we write. */
export const scopeText = ({ scope, within }: GrantedScope): string =>
  within === undefined ? scope : `${scope}:${encodeURIComponent(within)}`;

/** What routes may be called with these. */
export function routeScopes(granted: readonly GrantedScope[]): readonly Scope[] {
  const scopes = new Set<Scope>(granted.map(({ scope }) => scope));
  if ([...scopes].some((scope) => scope.startsWith('subjects:'))) scopes.add('subjects:list');
  return [...scopes];
}

/** The data types or prefixes that a scope is narrowed to; undefined where it is not narrowed. */
export function narrowing(granted: readonly GrantedScope[], scope: Scope): readonly string[] | undefined {
  const held = granted.filter((one) => one.scope === scope);
  const limits = held.flatMap(({ within }) => within ?? []);
  return limits.length < held.length ? undefined : limits;
}

/** What a principal's scope for the request is narrowed to. */
export interface Narrowed {
  readonly within?: readonly string[] | undefined;
}

export const admitsType = ({ within }: Narrowed, dataType: string): boolean =>
  within === undefined || within.includes(dataType);

/** A file without a name lies outside of every prefix. */
export const admitsName = ({ within }: Narrowed, name: string | null): boolean =>
  within === undefined || (name !== null && within.some((prefix) => name.startsWith(prefix)));

/** @throws DomainError `insufficient_scope` */
export function requireType(principal: Narrowed, dataType: string): void {
  if (!admitsType(principal, dataType)) throw outside('data type');
}

/** @throws DomainError `insufficient_scope` */
export function requireName(principal: Narrowed, name: string | null): void {
  if (!admitsName(principal, name)) throw outside('file name');
}

/** For what no prefix can bound. @throws DomainError `insufficient_scope` */
export function requireUnnarrowed({ within }: Narrowed): void {
  if (within !== undefined)
    throw new DomainError('insufficient_scope', { detail: 'The scope is narrowed to a prefix.' });
}

const outside = (what: string): DomainError =>
  new DomainError('insufficient_scope', { detail: `The scope does not cover this ${what}.` });
