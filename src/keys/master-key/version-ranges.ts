import type { MasterKey } from './master-key';

export type BackendName = MasterKey['home'];

export const BACKEND_NAMES: readonly BackendName[] = ['transit', 'kv', 'local'];

/**
 * From which version on a home holds the master key, up to the version before the next span. Numbers go on over a move from home to home, so
 * that a version names one key in one home for ever. `ended`: all its versions are retired, and the home is not asked for them any more.
 */
export interface VersionRange {
  readonly home: BackendName;
  readonly since: number;
  readonly ended?: true;
  /** All versions below it are retired: decided before the home was told, so that a late write which sets the home back is seen. */
  readonly floor?: number;
}

export const onlyBackend = (home: BackendName): readonly VersionRange[] => [{ home, since: 1 }];

/** The home of all that is new. */
export function newestBackend(spans: readonly VersionRange[]): BackendName {
  const last = spans.at(-1);
  if (last === undefined) throw new TypeError('a master key without a home');
  return last.home;
}

export const rangeOf = (spans: readonly VersionRange[], version: number): VersionRange | undefined =>
  spans.findLast(({ since }) => since <= version);

/** The last version that a span may hold; Infinity for the newest one. */
export const lastVersionOf = (spans: readonly VersionRange[], span: VersionRange): number =>
  (spans[spans.indexOf(span) + 1]?.since ?? Infinity) - 1;

/** `spans` with `home` holding `since` and all that follows. */
export const movedTo = (spans: readonly VersionRange[], home: BackendName, since: number): readonly VersionRange[] =>
  newestBackend(spans) === home ? spans : [...spans, { home, since }];

/** `spans` after all versions up to `version` were retired. */
export const endedThrough = (spans: readonly VersionRange[], version: number): readonly VersionRange[] =>
  spans.map((span) => (lastVersionOf(spans, span) <= version ? { ...span, ended: true } : span));

/** `spans` with all versions up to `version` below their floors, which never sink. */
export const flooredThrough = (spans: readonly VersionRange[], version: number): readonly VersionRange[] =>
  spans.map((span) => {
    if (span.since > version) return span;
    const floor = Math.min(version, lastVersionOf(spans, span)) + 1;
    return { ...span, floor: Math.max(span.floor ?? 0, floor) };
  });

const FORMS: Readonly<Record<BackendName, string>> = { transit: 'vault:', kv: 'kv:', local: 'local:' };

/** Which home made a wrap, by its own words; undefined for what no home makes. */
export const formOf = (ciphertext: string): BackendName | undefined =>
  BACKEND_NAMES.find((home) => ciphertext.startsWith(FORMS[home]));

const VERSION = /^(?:vault|kv|local):v([1-9]\d{0,8}):/;

/** The master key version that a wrap needs, by its own words; undefined for what no home makes. */
export function wrapVersion(ciphertext: unknown): number | undefined {
  const [, version] = (typeof ciphertext === 'string' && VERSION.exec(ciphertext)) || [];
  return version === undefined ? undefined : Number(version);
}
