import { Doc, defineCollection } from '../store';

/** A change of the sum whose file has not come to rest: what makes each change happen once, however often it is tried. */
export interface UsageMark {
  readonly change: 'added' | 'released';
  readonly bytes: number;
  readonly at: number;
}

/** What an owner's files take of the quota. `_id` is the owner's id. */
export interface FileUsageDoc extends Doc {
  /** Sum of the plaintext sizes. */
  readonly bytes: number;
  /** By file id, and with `.<version>` behind it for versions from the second on. */
  readonly marks: Readonly<Record<string, UsageMark>>;
  /** Time of the oldest mark; absent without any. */
  readonly marked_since?: number;
}

export const fileUsageCollection = defineCollection<FileUsageDoc>({
  name: 'file_usage',
  fields: { bytes: 'number', marks: 'json', marked_since: 'time' },
  clear: ['bytes', 'marks', 'marked_since'],
  indexes: { marked: { fields: ['marked_since'] } },
  reusesIds: true,
  forged: 'refuse',
});
