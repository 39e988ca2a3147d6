import { defineCollection, type Doc, plain } from '../../src/store';

/** What the job of actors/job-worker.ts does: one row a step and process. */
export interface StepDoc extends Doc {
  readonly step: number;
  readonly pid: number;
}

export const stepsCollection = defineCollection<StepDoc>({
  name: 'steps',
  fields: { step: plain.number, pid: plain.number },
  indexes: { step: { fields: ['step'] } },
  tampered: 'refuse',
});
