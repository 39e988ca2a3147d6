import { isDomainError } from '../../kernel';
import type { MasterKey, MasterKeyState, MasterKeyVersion } from './master-key';

export type BackendName = MasterKey['home'];

export const BACKEND_NAMES: readonly BackendName[] = ['transit', 'kv', 'local'];

/**
 * From which version on a backend holds the master key, up to the version before the next range.
 * Numbers go on over a move from backend to backend, so that a version names one key in one backend
 * for ever. `ended`: all its versions are retired, and the backend is not asked for them any more.
 */
export interface VersionRange {
  readonly home: BackendName;
  readonly since: number;
  readonly ended?: true;
  /**
   * All versions below it are retired: decided before the backend was told, so that a late write
   * which sets the backend back is seen.
   */
  readonly floor?: number;
}

export const onlyBackend = (home: BackendName): readonly VersionRange[] => [{ home, since: 1 }];

/** The backend of all that is new. */
export function newestBackend(spans: readonly VersionRange[]): BackendName {
  const last = spans.at(-1);
  if (last === undefined) throw new TypeError('a master key without a home');
  return last.home;
}

export const rangeOf = (spans: readonly VersionRange[], version: number): VersionRange | undefined =>
  spans.findLast(({ since }) => since <= version);

/** The last version that a range may hold; Infinity for the newest one. */
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

/** Which backend made a wrap, by its own words; undefined for what no backend makes. */
export const formOf = (ciphertext: string): BackendName | undefined =>
  BACKEND_NAMES.find((home) => ciphertext.startsWith(FORMS[home]));

const VERSION = /^(?:vault|kv|local):v([1-9]\d{0,8}):/;

/**
 * The master key version that a wrap needs, by its own words; undefined for what no backend makes.
 */
export function wrapVersion(ciphertext: unknown): number | undefined {
  const [, version] = (typeof ciphertext === 'string' && VERSION.exec(ciphertext)) || [];
  return version === undefined ? undefined : Number(version);
}

/** One range's part of the whole; undefined where its backend does not answer this process. */
type Part = { readonly span: VersionRange; readonly last: number; readonly state: MasterKeyState | undefined };

/**
 * The state of the master key over all backends that hold versions of it. Only the newest backend
 * has to answer; versions of the others are `unseen` meanwhile.
 * @throws DomainError `kms_unavailable` where the newest backend does not answer.
 */
export async function mergedState(
  spans: readonly VersionRange[],
  open: (home: BackendName) => Promise<MasterKey>,
  isConfigured: (home: BackendName) => boolean,
): Promise<MasterKeyState> {
  const newest = await (await open(newestBackend(spans))).state();
  const parts: Part[] = [];
  for (const span of spans) {
    const state = span.home === newestBackend(spans) ? newest : await stateOf(span, open, isConfigured);
    parts.push({ span, last: Math.min(lastVersionOf(spans, span), newest.current), state });
  }
  const unseen = parts.filter(({ span, state }) => state === undefined && !isGone(span));
  return {
    current: newest.current,
    versions: parts.flatMap(versionsOf),
    destroyedBelow: destroyedBelow(parts),
    ...(unseen.length === 0 ? {} : { unseen: unseen.flatMap(({ span, last }) => range(span.since, last)) }),
  };
}

/**
 * The keyring drops what it retires for good, so it need not be asked. In Vault a retired version
 * may have been trimmed, or not.
 */
const isGone = ({ home, ended }: VersionRange): boolean => ended === true && home === 'local';

async function stateOf(
  span: VersionRange,
  open: (home: BackendName) => Promise<MasterKey>,
  isConfigured: (home: BackendName) => boolean,
): Promise<MasterKeyState | undefined> {
  // A backend that has ended may have been taken away: that is no fault to be told.
  if (isGone(span) || (span.ended === true && !isConfigured(span.home))) return undefined;
  try {
    return await (await open(span.home)).state();
  } catch (error) {
    if (isDomainError(error, 'kms_unavailable')) return undefined;
    throw error;
  }
}

function versionsOf({ span, last, state }: Part): readonly MasterKeyVersion[] {
  if (span.ended === true || state === undefined) return [];
  return state.versions.filter(({ version }) => version >= span.since && version <= last);
}

/**
 * The first version that is not known to be gone for good: what lies above it is not claimed, even
 * where it is gone.
 */
function destroyedBelow(parts: readonly Part[]): number {
  for (const { span, last, state } of parts) {
    if (isGone(span)) continue;
    const below = state?.destroyedBelow ?? 0;
    if (below <= last) return Math.max(span.since, below);
  }
  return 0;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at);
