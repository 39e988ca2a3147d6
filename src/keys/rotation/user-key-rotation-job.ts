import { Injectable, OnModuleInit } from '@nestjs/common';
import { JobRunner, RunningJob, Scheduler } from '../../jobs';
import { AuditAction, AuditSink, DAY, failpoint, HOUR, UserDataHandler } from '../../kernel';
import { OrphanedWraps, UserKeyRotator } from '../user-keys';
import { UserDataHandlers } from './user-data-handlers';
import { USER_KEY_ROTATION_JOB, userKeyRotationData } from './user-key-rotation';

/** One a user and rotation: they grow with the number of users, and are looked up by who asked for them. */
const KEPT_MS = 30 * DAY;

/**
 * Rotates one owner's key: a new version, then everything that an older one wraps or seals moved to it, then the older ones out of the row
 * where nothing needs them. Each step may be repeated; the failpoints stand between the writes.
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
   * File keys first: they are what a stolen user key opens most with. Repeated until a pass finds nothing: what was stored meanwhile by
   * writers who had read the former version is moved as well, pending rows included.
   */
  async #moveAll(job: RunningJob): Promise<void> {
    for (let moved = 1; moved > 0;) {
      moved = 0;
      for (const handler of this.handlers.all) moved += await this.#move(job, (owner) => handler.rewrap(owner));
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
   * The epoch rose with the new version, before anything was moved: who sealed under an older one before that is seen by this count or
   * sees the epoch (wrap protocol). Returns how many values keep a version alive, since they do not open or do not hold their seal.
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

/** For each version, in all of them together. */
async function countUnder(
  handlers: readonly UserDataHandler[],
  owner: string,
  versions: readonly number[],
): Promise<readonly number[]> {
  if (versions.length === 0) return [];
  const counts = await Promise.all(handlers.map((handler) => handler.countByKeyVersion(owner, versions)));
  return versions.map((_, at) => counts.reduce((sum, count) => sum + required(count[at]), 0));
}

/** A count that is missing must never read as 0: the version would end. */
function required(count: number | undefined): number {
  if (count === undefined) throw new TypeError('a handler counted too few versions');
  return count;
}
