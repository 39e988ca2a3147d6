import { ActiveFile, FileDoc, OtherContent, WholeFile } from './file.collection';

/** Earlier versions that a file keeps. A further one replaces the oldest. */
export const MAX_FORMER = 20;
/** Incoming contents of one file at the same time: its row holds them all. */
export const MAX_INCOMING = 32;

/** The process that works on a content, and its last sign of life. */
export interface Stamp {
  readonly heartbeat_at: number;
  readonly worker: string;
}

/** The fields of an incoming content that has been stored. */
export interface FilledContent {
  readonly meta: string;
  readonly size: number;
  readonly encrypted_size: number;
}

type WholeContent = OtherContent & Required<Pick<WholeFile, 'file_key' | 'meta' | 'size' | 'encrypted_size'>>;

const othersOf = (row: FileDoc): readonly OtherContent[] => row.others ?? [];

const isFormer = (content: OtherContent): content is WholeContent => content.state === 'former';

/**
 * The row as if this version were the current one; undefined where the file has no such version.
 */
export function atVersion<Row extends WholeFile>(row: Row, version: number): Row | undefined {
  if (version === row.version) return row;
  const former = othersOf(row).find((content) => isFormer(content) && content.version === version);
  return former && { ...row, ...fieldsOf(former as WholeContent) };
}

/** All readable versions, each as `atVersion`, newest first. */
export function versionsOf<Row extends WholeFile>(row: Row): readonly Row[] {
  const former = othersOf(row).filter(isFormer);
  return [row, ...former.map((content) => ({ ...row, ...fieldsOf(content) }))].sort((a, b) => b.version - a.version);
}

/** The readable version whose stored message this blob is. */
export const atBlob = (row: ActiveFile, blobId: string): ActiveFile | undefined =>
  versionsOf(row).find((version) => version.blob_id === blobId);

/** Whether the row names this blob, for any of its contents. */
export const namesBlob = (row: FileDoc, blobId: string): boolean =>
  row.blob_id === blobId || othersOf(row).some((content) => content.blob_id === blobId);

export const nextVersion = (row: FileDoc): number => (row.last_version ?? row.version) + 1;

export const incomingIn = (row: FileDoc, blobId: string): OtherContent | undefined =>
  othersOf(row).find((content) => content.state === 'incoming' && content.blob_id === blobId);

export const droppedIn = (row: FileDoc): readonly OtherContent[] =>
  othersOf(row).filter(({ state }) => state === 'dropped');

/** The key of a content's usage mark. The first version has the id alone. */
export const usageMark = (fileId: string, version: number): string => (version === 1 ? fileId : `${fileId}.${version}`);

/** Whether the content of a usage mark is complete in its file, still changing, or absent. */
export function quotaState(row: FileDoc | undefined, version: number): 'rests' | 'moves' | 'absent' {
  if (row === undefined) return 'absent';
  if (row.state === 'pending' || row.state === 'deleting') return 'moves';
  if (row.version === version) return 'rests';
  const content = othersOf(row).find((other) => other.version === version && other.rekeyed !== true);
  if (content === undefined) return 'absent';
  return content.state === 'former' ? 'rests' : 'moves';
}

/** Whether an upload still waits for this content: otherwise it never becomes visible. */
export const isAwaited = (row: FileDoc | undefined, version: number): boolean =>
  row?.state === 'pending' ||
  (row !== undefined &&
    row.state !== 'deleting' &&
    othersOf(row).some((content) => content.state === 'incoming' && content.version === version && !content.rekeyed));

/** The row with these other contents, and the oldest of their signs of life for the sweeper. */
export function withOthers<Row extends FileDoc>(row: Row, others: readonly OtherContent[]): Row {
  const { others: _others, heartbeat_at: _beat, worker: _worker, ...rest } = row;
  const beats = others.flatMap(({ heartbeat_at, worker }) =>
    heartbeat_at === undefined ? [] : [{ heartbeat_at, worker }],
  );
  const oldest = beats.sort((a, b) => a.heartbeat_at - b.heartbeat_at)[0];
  return { ...(rest as unknown as Row), ...(others.length > 0 && { others }), ...oldest };
}

/** The row with an incoming content, whose version number is never used again. */
export const withIncoming = (row: ActiveFile, content: OtherContent): FileDoc => ({
  ...withOthers(row, [...othersOf(row), content]),
  last_version: Math.max(row.last_version ?? row.version, content.version),
});

/** The row with a sign of life of an incoming content; undefined where nothing waits for that. */
export function touched(row: FileDoc, blobId: string, now: number): FileDoc | undefined {
  if (row.state === 'deleting' || incomingIn(row, blobId) === undefined) return undefined;
  const beat = (content: OtherContent): OtherContent =>
    content.blob_id === blobId ? { ...content, heartbeat_at: now } : content;
  return withOthers(row, othersOf(row).map(beat));
}

/** Makes the incoming content the current one, and the current one the newest earlier version. */
export function replaced(row: ActiveFile, incoming: OtherContent, filled: FilledContent, stamp: Stamp): ActiveFile {
  const former: WholeContent = { state: 'former', ...fieldsOf(row) };
  const others = [...othersOf(row).filter((content) => content !== incoming), former];
  return {
    ...withOthers(row, withoutOldest(others, stamp)),
    ...fieldsOf({ ...(incoming as WholeContent), ...filled, modified_at: stamp.heartbeat_at }),
  };
}

/**
 * Replaces the content in `blobId` by the incoming one, the same under another key; undefined where
 * that is gone.
 */
export function rekeyed(
  row: ActiveFile,
  blobId: string,
  incoming: OtherContent,
  { encrypted_size, ...stamp }: Stamp & { readonly encrypted_size: number },
): ActiveFile | undefined {
  const old = atBlob(row, blobId);
  if (old === undefined) return undefined;
  const fresh = {
    ...fieldsOf(old),
    blob_id: incoming.blob_id,
    file_key: (incoming as WholeContent).file_key,
    encrypted_size,
  };
  const rest = othersOf(row).filter((content) => content !== incoming && content.blob_id !== blobId);
  const stale = asDropped({ ...fieldsOf(old), state: 'former', rekeyed: true }, stamp);
  if (row.blob_id === blobId) return { ...withOthers(row, [...rest, stale]), ...fresh };
  return withOthers(row, [...rest, { state: 'former', ...fresh }, stale]);
}

/**
 * The row with the contents of these blobs dropped, without their keys; undefined where there are
 * none.
 */
export function dropping(row: FileDoc, blobIds: ReadonlySet<string>, stamp: Stamp): FileDoc | undefined {
  const drops = ({ state, blob_id }: OtherContent): boolean => state !== 'dropped' && blobIds.has(blob_id);
  if (!othersOf(row).some(drops)) return undefined;
  return withOthers(
    row,
    othersOf(row).map((content) => (drops(content) ? asDropped(content, stamp) : content)),
  );
}

/** The row without contents whose blobs are gone; undefined where it names none of them. */
export function without(row: FileDoc, blobIds: ReadonlySet<string>): FileDoc | undefined {
  const kept = othersOf(row).filter((content) => content.state !== 'dropped' || !blobIds.has(content.blob_id));
  return kept.length === othersOf(row).length ? undefined : withOthers(row, kept);
}

export function asDropped(content: OtherContent, stamp: Stamp): OtherContent {
  const { file_key: _key, meta: _meta, encrypted_size: _size, ...rest } = content;
  return { ...rest, ...stamp, state: 'dropped' };
}

function withoutOldest(others: readonly OtherContent[], stamp: Stamp): readonly OtherContent[] {
  const versions = others.filter(isFormer).map(({ version }) => version);
  const oldest = new Set(versions.sort((a, b) => b - a).slice(MAX_FORMER));
  const goes = (content: OtherContent): boolean => isFormer(content) && oldest.has(content.version);
  return others.map((content) => (goes(content) ? asDropped(content, stamp) : content));
}

const fieldsOf = (content: WholeFile | WholeContent) => ({
  version: content.version,
  blob_id: content.blob_id,
  file_key: content.file_key,
  meta: content.meta,
  size: content.size,
  encrypted_size: content.encrypted_size,
  client_encrypted: content.client_encrypted,
  modified_at: content.modified_at,
});
