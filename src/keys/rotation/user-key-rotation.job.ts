import { Injectable, OnModuleInit } from '@nestjs/common';
import { JobRunner, RunningJob, Scheduler } from '../../jobs';
import { AuditAction, AuditSink, DAY, failpoint, HOUR, type UserDataHandler } from '../../kernel';
import { OrphanedWraps, UserKeyRotator } from '../user-keys';
import { USER_KEY_ROTATION_JOB, userKeyRotationData } from './rotation';

/** Finished jobs are kept so long: their number grows with that of the users. */
const KEPT_MS = 30 * DAY;

/**
 * Holds the handlers of user data. app.module, which knows the features, connects them at the
 * start.
 */
@Injectable()
export class UserDataHandlers {
  #handlers: readonly UserDataHandler[] = [];

  connect(handlers: readonly UserDataHandler[]): void {
    this.#handlers = handlers;
  }

  /** @throws TypeError where none is connected: a rotation would drop versions that are in use. */
  get all(): readonly UserDataHandler[] {
    if (this.#handlers.length === 0) throw new TypeError('no handler with data of users is connected');
    return this.#handlers;
  }
}

/**
 * Rotates one owner's key: makes a version, re-encrypts everything with it, then drops the older
 * versions that nothing needs. Each step may be repeated.
 */
@Injectable()
export class UserKeyRotationJob implements OnModuleInit {
  constructor(
    private readonly jobs: JobRunner,
    private readonly scheduler: Scheduler,
    private readonly keys: UserKeyRotator,
    private readonly strays: OrphanedWraps,
    private readonly handlers: UserDataHandlers,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.jobs.register(USER_KEY_ROTATION_JOB, (job) => this.run(job), { keptMs: KEPT_MS });
    this.scheduler.every('user-keys.strays', HOUR, async () => {
      await this.strays.sweep();
    });
  }

  async run(job: RunningJob): Promise<void> {
    const target = await this.#newVersion(job);
    await this.#moveAll(job);
    const left = await this.#dropUnused(job, target);
    await job.assertLease();
    await this.strays.remove(userKeyRotationData(job.data).owner);
    await job.save({ progress: { ...job.progress, total: job.progress.done + left, failed: left } });
    failpoint('user-key-rotation.before-done');
    this.#note('user-key.rotated', job, { target, ...job.progress });
  }

  async #newVersion(job: RunningJob): Promise<number> {
    const { owner, from, target } = userKeyRotationData(job.data);
    if (target !== undefined) return target;
    await job.assertLease();
    const made = await this.keys.advance(owner, from);
    failpoint('user-key-rotation.version-added');
    await job.save({ data: { target: made } });
    failpoint('user-key-rotation.target-pinned');
    return made;
  }

  /**
   * Rewraps file keys first, since a stolen user key opens most with them. Repeats until a pass
   * finds nothing: other writers may have read the former version before the epoch rose.
   */
  async #moveAll(job: RunningJob): Promise<void> {
    for (let moved = 1; moved > 0;) {
      moved = 0;
      for (const handler of this.handlers.all)
        moved += await this.#move(job, (owner) => handler.rewrap?.(owner) ?? Promise.resolve(0));
      failpoint('user-key-rotation.rewrapped');
      for (const handler of this.handlers.all) moved += await this.#move(job, (owner) => handler.reencrypt(owner));
      failpoint('user-key-rotation.resealed');
    }
  }

  async #move(job: RunningJob, act: (owner: string) => Promise<number>): Promise<number> {
    await job.assertLease();
    const moved = await act(userKeyRotationData(job.data).owner);
    const done = job.progress.done + moved;
    if (moved > 0) await job.save({ progress: { ...job.progress, total: done, done } });
    return moved;
  }

  /**
   * Drops versions that nothing needs, and returns how many values still keep one. A writer that
   * used an older version is either counted here or sees the new epoch (wrap protocol).
   */
  async #dropUnused(job: RunningJob, target: number): Promise<number> {
    const { owner } = userKeyRotationData(job.data);
    const former = (await this.keys.state(owner)).versions
      .map(({ version }) => version)
      .filter((each) => each < target);
    const counts = await countUnder(this.handlers.all, owner, former);
    const unused = new Set(former.filter((_, at) => counts[at] === 0));
    const left = counts.reduce((sum, count) => sum + count, 0);
    await job.assertLease();
    const dropped = await this.keys.drop(owner, unused);
    failpoint('user-key-rotation.dropped');
    if (dropped > 0) this.#note('user-key.dropped', job, { versions: dropped });
    return left;
  }

  #note(action: AuditAction, job: RunningJob, details: Readonly<Record<string, number>>): void {
    const resource = `user/${userKeyRotationData(job.data).owner}`;
    const intent = { action, actor: `system:${USER_KEY_ROTATION_JOB}`, resource };
    this.audit.note({ ...intent, details: { rotation: job.id, ...details } }, 'done');
  }
}

/** How many values need each version, over all handlers. */
async function countUnder(
  handlers: readonly UserDataHandler[],
  owner: string,
  versions: readonly number[],
): Promise<readonly number[]> {
  if (versions.length === 0) return [];
  const counts = await Promise.all(handlers.map((handler) => handler.countByKeyVersion(owner, versions)));
  return versions.map((_, at) => counts.reduce((sum, count) => sum + required(count[at]), 0));
}

/** A missing count must not read as 0: the version would be dropped. */
function required(count: number | undefined): number {
  if (count === undefined) throw new TypeError('a handler counted too few versions');
  return count;
}
