import { Injectable } from '@nestjs/common';
import { type Job, JobBusy, JobRunner, type JobState } from '../../jobs';
import { Clock, DomainError, MINUTE, SECOND } from '../../kernel';
import type { ListOptions, Position } from '../../store';
import { requireNextVersion, UserKeyRotator, type UserKeyState } from '../user-keys';
import { type Rotation, ROTATION_JOB, rotationOf, USER_KEY_ROTATION_JOB, userKeyRotationOf } from './rotation';

/** A small rotation ends before the response; a larger one goes on in the background. */
const ANSWER_WITHIN_MS = 2 * SECOND;
/** Making a version and advancing the row are a few calls, each with a deadline of its own. */
const EFFECT_WITHIN_MS = 8 * SECOND;
/** Between two rotations by the owner: the 65,535 versions of a key then last for over a year. */
const LEAST_INTERVAL_MS = 10 * MINUTE;

export interface RotationPage {
  readonly items: readonly Rotation[];
  readonly next: Position | undefined;
}

/** Starts, finds, pauses and resumes rotations of the master key and of user keys. */
@Injectable()
export class RotationService {
  constructor(
    private readonly jobs: JobRunner,
    private readonly userKeys: UserKeyRotator,
    private readonly clock: Clock,
  ) {}

  /**
   * Rotates the master key. Resolves when the rotation ends, or after 2 seconds once everything new
   * is wrapped with the new version; the rest goes on in the background.
   * @throws DomainError `rotation_running` with `rotation_id`; `kms_unavailable` where no version
   * could be made; the fault of a job that has failed, with `rotation_id` where it is in effect.
   */
  async rotateMasterKey(requestedBy: string): Promise<Rotation> {
    const started = performance.now();
    const { id } = await this.#begin(
      () => this.jobs.start(ROTATION_JOB, { requested_by: requestedBy }),
      masterKeyIsRotating,
    );
    const job = await this.#outcome(id, started, rotationOf);
    const rotation = rotationOf(job);
    if (job.state === 'failed') throw rotation.inEffect ? notAllRewrapped(job) : noVersionMade(job);
    if (!rotation.inEffect) throw notYetInEffect(job);
    return rotation;
  }

  /**
   * Stores the request for whichever replica of the service takes it first: for the command line.
   * @throws DomainError `rotation_running`.
   */
  async enqueueMasterKeyRotation(requestedBy: string): Promise<Rotation> {
    const data = { requested_by: requestedBy };
    return rotationOf(await this.#begin(() => this.jobs.enqueue(ROTATION_JOB, data), masterKeyIsRotating));
  }

  /**
   * Rotates the key of one owner. Resolves when the rotation ends, or after 2 seconds once the new
   * version exists. An owner has to wait between two rotations; an administrator has not.
   * @throws DomainError `rotation_running` with `rotation_id`, `rate_limited`, `conflict` (no
   * version number left), `not_found` (no such owner, or erased), `kms_unavailable` (with
   * `rotation_id` where the rotation goes on once the key service is back).
   */
  async rotateUserKey(ownerId: string, requestedBy: string): Promise<Rotation> {
    const started = performance.now();
    const state = await this.userKeys.state(ownerId);
    requireNextVersion(state.current);
    if (requestedBy === ownerId) await this.#requireInterval(ownerId, state);
    const data = { owner: ownerId, from: state.current, requested_by: requestedBy };
    const start = (): Promise<Job> => this.jobs.start(USER_KEY_ROTATION_JOB, data, ownerId);
    const { id } = await this.#begin(start, userKeyIsRotating);
    const job = await this.#outcome(id, started, userKeyRotationOf);
    if (job.state === 'failed')
      throw new DomainError(job.fault ?? 'internal', { detail: 'The key could not be rotated.' });
    const rotation = userKeyRotationOf(job);
    if (!rotation.inEffect) throw notYetInEffect(job);
    return rotation;
  }

  /** A rotation of the master key or of a user key. @throws DomainError `not_found`. */
  async find(id: string): Promise<Rotation> {
    const job = await this.jobs.find(id);
    if (job?.kind === ROTATION_JOB) return rotationOf(job);
    if (job?.kind === USER_KEY_ROTATION_JOB) return userKeyRotationOf(job);
    throw new DomainError('not_found');
  }

  /**
   * Stops a rotation before its next step, on whichever replica it runs; no other one may start.
   * @throws DomainError `not_found`; `conflict` where it has ended.
   */
  pause(id: string): Promise<Rotation> {
    return this.#change(id, 'paused', () => this.jobs.pause(id));
  }

  /** @throws DomainError `not_found`; `conflict` where it has ended. */
  resume(id: string): Promise<Rotation> {
    return this.#change(id, 'running', () => this.jobs.resume(id));
  }

  /** Rotations of the master key, newest first. */
  async list(options: Omit<ListOptions, 'reverse'>): Promise<RotationPage> {
    const page = await this.jobs.list(ROTATION_JOB, { ...options, reverse: true });
    return { items: page.items.map(rotationOf), next: page.next };
  }

  async #begin(start: () => Promise<Job>, detail: string): Promise<Job> {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof JobBusy)) throw error;
      throw isRunning(error.job, detail);
    }
  }

  /** The job at its end, or what it is when the response is due. */
  async #outcome(id: string, started: number, view: (job: Job) => Rotation): Promise<Job> {
    await this.jobs.until(id, (job) => hasEnded(job) || view(job).inEffect, EFFECT_WITHIN_MS);
    const rest = Math.max(0, ANSWER_WITHIN_MS - (performance.now() - started));
    return this.jobs.until(id, hasEnded, rest);
  }

  /** A version with a time far ahead was made by a wrong clock, and blocks nobody. */
  async #requireInterval(ownerId: string, { current, versions }: UserKeyState): Promise<void> {
    const { createdAt = 0 } = versions.find(({ version }) => version === current) ?? {};
    const left = LEAST_INTERVAL_MS - Math.abs(this.clock.now() - createdAt);
    if (current === 1 || left <= 0) return;
    const running = await this.jobs.active(`${USER_KEY_ROTATION_JOB}/${ownerId}`);
    if (running !== undefined) throw isRunning(running, userKeyIsRotating);
    throw new DomainError('rate_limited', {
      detail: 'This key was rotated a moment ago.',
      retryAfterSeconds: Math.ceil(left / SECOND),
    });
  }

  async #change(id: string, wanted: JobState, change: () => Promise<boolean>): Promise<Rotation> {
    await this.find(id);
    const changed = await change();
    const now = await this.find(id);
    // A job that was changed may have ended since: that is no conflict.
    if (changed || now.state === wanted) return now;
    throw new DomainError('conflict', { detail: 'The rotation has ended.' });
  }
}

const hasEnded = (job: Job): boolean => job.state === 'done' || job.state === 'failed';

const masterKeyIsRotating = 'The master key is being rotated already.';
const userKeyIsRotating = 'This key is being rotated already.';

const isRunning = ({ id }: Job, detail: string): DomainError =>
  new DomainError('rotation_running', { detail, extensions: { rotation_id: id } });

const notYetInEffect = ({ id }: Job): DomainError =>
  new DomainError('kms_unavailable', {
    detail: 'The new version could not be created yet. The rotation continues in the background.',
    retryAfterSeconds: 5,
    extensions: { rotation_id: id },
  });

function noVersionMade({ fault = 'kms_unavailable' }: Job): DomainError {
  const isPassing = fault.endsWith('_unavailable');
  const detail = 'The master key could not be rotated.';
  return new DomainError(fault, { detail, ...(isPassing && { retryAfterSeconds: 5 }) });
}

/** Everything new uses the version, but that alone is no success. */
const notAllRewrapped = ({ id, fault }: Job): DomainError =>
  new DomainError(fault ?? 'internal', {
    detail:
      'The new version is in use, and the rotation could not wrap everything again with it (GET /rotations/{id}).',
    extensions: { rotation_id: id },
  });
