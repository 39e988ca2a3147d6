import { defineCollection } from '../store';
import type { Leased } from './leases';

/** `paused` counts as running: its kind's place stays taken. */
export type JobState = 'running' | 'paused' | 'done' | 'failed';

export interface JobProgress {
  readonly total: number;
  readonly done: number;
  readonly failed: number;
}

/** What a handler keeps between its steps: plain values only, no secrets. */
export type JobData = Readonly<Record<string, string | number | boolean>>;

export interface JobDoc extends Leased {
  readonly kind: string;
  readonly state: JobState;
  /** The kind again (`kind/subject` where a job has one), while it is running or paused: a unique index allows one at a time. */
  readonly active_kind?: string;
  /** Grows with each change of hands: a runner that slept through one finds its writes refused. */
  readonly fence: number;
  readonly progress: JobProgress;
  readonly data: JobData;
  readonly created_at: number;
  readonly finished_at?: number;
  /** When the row goes: some time after its end, where its kind says so. */
  readonly gone_at?: number;
  /** Why it failed: a code of ours, never a backend's text. */
  readonly fault?: string;
}

export const jobsCollection = defineCollection<JobDoc>({
  name: 'jobs',
  fields: {
    kind: 'string',
    state: 'string',
    active_kind: 'string',
    lease_owner: 'string',
    lease_until: 'time',
    fence: 'number',
    progress: 'json',
    data: 'json',
    created_at: 'time',
    finished_at: 'time',
    gone_at: 'time',
    fault: 'string',
  },
  plaintext: [
    'kind',
    'state',
    'active_kind',
    'lease_owner',
    'lease_until',
    'fence',
    'progress',
    'data',
    'created_at',
    'finished_at',
    'gone_at',
    'fault',
  ],
  indexes: {
    active: { fields: ['active_kind'], unique: true },
    state: { fields: ['state'] },
    // Ids are UUIDv7 and come last: oldest first.
    kind: { fields: ['kind'] },
  },
  expiry: 'gone_at',
  tampered: 'refuse',
});

/** One row a periodic task, so that one replica at a time runs it. */
export interface TaskDoc extends Leased {
  readonly next_at: number;
}

export const tasksCollection = defineCollection<TaskDoc>({
  name: 'scheduled_tasks',
  fields: { lease_owner: 'string', lease_until: 'time', next_at: 'time' },
  plaintext: ['lease_owner', 'lease_until', 'next_at'],
  tampered: 'refuse',
});
