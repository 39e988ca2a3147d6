import { ActiveFile, FileDoc, OtherContent, WholeFile } from './file.collection';

/** Earlier versions that a file keeps; the oldest goes when there would be more. */
export const MAX_FORMER = 20;
/** Contents on their way to one file at the same time: its row holds them all. */
export const MAX_INCOMING = 32;

/** Who works on a content, and when it was heard of. */
export interface Stamp {
  readonly heartbeat_at: number;
  readonly worker: string;
}

/** What is known of an incoming content once it is stored. */
export interface FilledContent {
  readonly meta: string;
  readonly size: number;
  readonly encrypted_size: number;
}

type WholeContent = OtherContent & Required<Pick<WholeFile, 'file_key' | 'meta' | 'size' | 'encrypted_size'>>;

const othersOf = (row: FileDoc): readonly OtherContent[] => row.others ?? [];

const isFormer = (content: OtherContent): content is WholeContent => content.state === 'former';

/** The row as if this readable version were the current one; undefined where the file has no such version. */
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

/** Whether anything of the row is, was or will be in this blob. */
export const namesBlob = (row: FileDoc, blobId: string): boolean =>
  row.blob_id === blobId || othersOf(row).some((content) => content.blob_id === blobId);

export const nextVersion = (row: FileDoc): number => (row.last_version ?? row.version) + 1;

export const incomingIn = (row: FileDoc, blobId: string): OtherContent | undefined =>
  othersOf(row).find((content) => content.state === 'incoming' && content.blob_id === blobId);

export const droppedIn = (row: FileDoc): readonly OtherContent[] =>
  othersOf(row).filter(({ state }) => state === 'dropped');

/** Key of the usage mark for a content. The first version is counted under the id alone. */
export const usageMark = (fileId: string, version: number): string => (version === 1 ? fileId : `${fileId}.${version}`);

/** Whether the content that a usage mark speaks of is at rest in its file, still moving, or not (any more) there. */
export function restOf(row: FileDoc | undefined, version: number): 'rests' | 'moves' | 'absent' {
  if (row === undefined) return 'absent';
  if (row.state === 'pending' || row.state === 'deleting') return 'moves';
  if (row.version === version) return 'rests';
  const content = othersOf(row).find((other) => other.version === version && other.rekeyed !== true);
  if (content === undefined) return 'absent';
  return content.state === 'former' ? 'rests' : 'moves';
}

/** Whether somebody still waits for this content: nothing that is not awaited becomes visible any more. */
export const awaits = (row: FileDoc | undefined, version: number): boolean =>
  row?.state === 'pending' ||
  (row !== undefined &&
    row.state !== 'deleting' &&
    othersOf(row).some((content) => content.state === 'incoming' && content.version === version && !content.rekeyed));

/** The row with these other contents. What a sweeper looks at, the sign of life, is that of the one who was silent for the longest. */
export function withOthers<Row extends FileDoc>(row: Row, others: readonly OtherContent[]): Row {
  const { others: _others, heartbeat_at: _beat, worker: _worker, ...rest } = row;
  const beats = others.flatMap(({ heartbeat_at, worker }) =>
    heartbeat_at === undefined ? [] : [{ heartbeat_at, worker }],
  );
  const oldest = beats.sort((a, b) => a.heartbeat_at - b.heartbeat_at)[0];
  return { ...(rest as unknown as Row), ...(others.length > 0 && { others }), ...oldest };
}

/** The row with a content that is to come. Its version number is given out for good. */
export const withIncoming = (row: ActiveFile, content: OtherContent): FileDoc => ({
  ...withOthers(row, [...othersOf(row), content]),
  last_version: Math.max(row.last_version ?? row.version, content.version),
});

/** The row with a sign of life of an incoming content; undefined where nobody waits for that any more. */
export function touched(row: FileDoc, blobId: string, now: number): FileDoc | undefined {
  if (row.state === 'deleting' || incomingIn(row, blobId) === undefined) return undefined;
  const beat = (content: OtherContent): OtherContent =>
    content.blob_id === blobId ? { ...content, heartbeat_at: now } : content;
  return withOthers(row, othersOf(row).map(beat));
}

/** The incoming content becomes the current one, and the current one the newest of the former ones. */
export function replaced(row: ActiveFile, incoming: OtherContent, filled: FilledContent, stamp: Stamp): ActiveFile {
  const former: WholeContent = { state: 'former', ...fieldsOf(row) };
  const others = [...othersOf(row).filter((content) => content !== incoming), former];
  return {
    ...withOthers(row, withoutOldest(others, stamp)),
    ...fieldsOf({ ...(incoming as WholeContent), ...filled, modified_at: stamp.heartbeat_at }),
  };
}

/** The incoming content, the same under another key, takes the place of the one in `blobId`; undefined where that is gone. */
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

/** The row with the contents of these blobs dropped, without their keys; undefined where there is nothing to drop. */
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
