import { defineCollection, plain } from '../store';
import type { Leased } from './held-lease';

/** A `paused` job keeps its slot, as a running one does. */
export type JobState = 'running' | 'paused' | 'done' | 'failed';

export interface JobProgress {
  readonly total: number;
  readonly done: number;
  readonly failed: number;
}

/** State that a handler saves between steps: plain values only, no secrets. */
export type JobData = Readonly<Record<string, string | number | boolean>>;

export interface JobDoc extends Leased {
  readonly kind: string;
  readonly state: JobState;
  /**
   * The kind (or `kind/subject`) while the job is running or paused. A unique index allows one at a
   * time.
   */
  readonly active_kind?: string;
  /** Increases with each change of the holder, so that writes of an earlier holder are rejected. */
  readonly fence: number;
  readonly progress: JobProgress;
  readonly data: JobData;
  readonly created_at: number;
  readonly finished_at?: number;
  /** Expiry time of an ended job's row, if its kind sets a retention. */
  readonly gone_at?: number;
  /** Error code of Coffer, never the text of a backend. */
  readonly fault?: string;
}

export const jobsCollection = defineCollection<JobDoc>({
  name: 'jobs',
  fields: {
    kind: plain.string,
    state: plain.string,
    active_kind: plain.string,
    lease_owner: plain.string,
    lease_until: plain.time,
    fence: plain.number,
    progress: plain.json,
    data: plain.json,
    created_at: plain.time,
    finished_at: plain.time,
    gone_at: plain.time,
    fault: plain.string,
  },
  indexes: {
    active: { fields: ['active_kind'], unique: true },
    state: { fields: ['state'] },
    // Ids are UUIDv7 and the last index field: oldest first.
    kind: { fields: ['kind'] },
  },
  expiry: 'gone_at',
  tampered: 'refuse',
});

/** One row for each periodic task, so that one replica at a time runs it. */
export interface TaskDoc extends Leased {
  readonly next_at: number;
}

export const tasksCollection = defineCollection<TaskDoc>({
  name: 'scheduled_tasks',
  fields: { lease_owner: plain.string, lease_until: plain.time, next_at: plain.time },
  tampered: 'refuse',
});
