import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { Job, JobRunner } from '../../jobs';
import { DomainError, SECOND } from '../../kernel';
import { WrongPin } from '../../installation';
import { withService } from '../app';
import { ProgressDisplay } from '../progress';

const LOOK_EVERY = SECOND / 2;

/**
 * Where keys are to be: the variable that names it, its value, and the answer if they are there
 * already.
 */
export interface Destination {
  readonly variable: string;
  readonly value: string;
  readonly there: string;
}

/**
 * Runs a move beside the service. An environment that still names the location before a move that
 * has ended is no error.
 */
export async function unlessThere(
  { variable, value, there }: Destination,
  move: (app: NestFastifyApplication) => Promise<string>,
): Promise<string> {
  try {
    return await withService(move);
  } catch (error) {
    if (error instanceof WrongPin && error.variable === variable && error.pinned === value) return there;
    throw error;
  }
}

/**
 * Shows how far a job is until it runs no more, and takes it over where nobody runs it: a replica
 * that did may have died. `isShown`: from when on its progress says something.
 */
export async function watchJob(
  app: NestFastifyApplication,
  id: string,
  isShown: (job: Job) => boolean = () => true,
): Promise<Job> {
  const jobs = app.get(JobRunner, { strict: false });
  const display = new ProgressDisplay(process.stderr);
  for (;;) {
    await jobs.poll();
    const job = await jobs.find(id);
    if (job === undefined) throw new DomainError('not_found');
    if (isShown(job)) display.show({ ...job.progress, state: job.state });
    if (job.state !== 'running') {
      display.end();
      return job;
    }
    await sleep(LOOK_EVERY);
  }
}
