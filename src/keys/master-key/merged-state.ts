import { isDomainError } from '../../kernel';
import { type BackendName, type VersionRange, lastVersionOf, newestBackend } from './version-ranges';
import type { MasterKey, MasterKeyState, MasterKeyVersion } from './master-key';

/** One span's part of the whole; undefined where its home does not answer this process. */
type Part = { readonly span: VersionRange; readonly last: number; readonly state: MasterKeyState | undefined };

/**
 * The state of the master key over all homes that hold versions of it. Only the newest home has to answer; versions of the others are
 * `unseen` meanwhile. @throws DomainError `kms_unavailable` where the newest home does not answer.
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

/** The keyring drops what it retires for good, so it need not be asked. In Vault a retired version may have been trimmed, or not. */
const isGone = ({ home, ended }: VersionRange): boolean => ended === true && home === 'local';

async function stateOf(
  span: VersionRange,
  open: (home: BackendName) => Promise<MasterKey>,
  isConfigured: (home: BackendName) => boolean,
): Promise<MasterKeyState | undefined> {
  // A home that has ended may have been taken away: that is no fault to be told.
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

/** The first version that is not known to be gone for good: what lies above it is not claimed, even where it is gone. */
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
