import { Doc, defineCollection, plain } from '../store';

/**
 * A change of the sum whose file has not come to rest: what makes each change happen once, however
 * often it is tried.
 */
export interface UsageMark {
  readonly change: 'added' | 'released';
  readonly bytes: number;
  readonly at: number;
}

/** A write of a record that has begun and not ended. `bytes` are in the sum already. */
export interface RecordMark {
  readonly bytes: number;
  readonly at: number;
}

/** What an owner's records take of the quota. */
export interface CountedRecords {
  /** Sum of the sizes of the values, with what writes under way may add. */
  readonly bytes: number;
  /**
   * Rises with each write that begins or ends: a count of the rows holds only if none did so
   * meanwhile.
   */
  readonly changes: number;
  readonly marks: Readonly<Record<string, RecordMark>>;
  /** When the rows were counted. */
  readonly counted_at: number;
}

/** What an owner has of the quota. `_id` is the owner's id. */
export interface FileUsageDoc extends Doc {
  /** Sum of the plaintext sizes of the files. */
  readonly bytes: number;
  /** By file id, and with `.<version>` behind it for versions from the second on. */
  readonly marks: Readonly<Record<string, UsageMark>>;
  /** Time of the oldest mark; absent without any. */
  readonly marked_since?: number;
  /** Absent until somebody counts the records, and without a quota. */
  readonly records?: CountedRecords;
  /** When the records are to be counted again. */
  readonly records_due?: number;
}

export const fileUsageCollection = defineCollection<FileUsageDoc>({
  name: 'file_usage',
  fields: {
    bytes: plain.number,
    marks: plain.json,
    marked_since: plain.time,
    records: plain.json,
    records_due: plain.time,
  },
  indexes: { marked: { fields: ['marked_since'] }, records_due: { fields: ['records_due'] } },
  tampered: 'refuse',
});

/** A sum of nothing is no row. */
export const isEmptyUsage = ({ bytes, marks, records }: FileUsageDoc): boolean =>
  bytes === 0 &&
  Object.keys(marks).length === 0 &&
  (records === undefined || (records.bytes === 0 && Object.keys(records.marks).length === 0));
