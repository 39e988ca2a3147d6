import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { Scheduler } from '../../jobs';
import { audited, AuditSink, Clock, DAY, HOUR, isDomainError } from '../../kernel';
import { KeyOverview } from './key-overview';
import { RotationService } from './rotation.service';

const SCHEDULE = 'system:rotation-schedule';
/** The newest rotations, by the order in which they were begun. */
const LOOKED_AT = 20;

/**
 * Rotates the master key when its current version is KEY_ROTATION_DAYS old. The scheduler runs it
 * on one replica at a time.
 */
@Injectable()
export class RotationSchedule implements OnModuleInit {
  /**
   * The current version as this process saw it last, and the monotonic time when it saw it become
   * current.
   */
  #seen: { readonly version: number; readonly since: number } | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly scheduler: Scheduler,
    private readonly overview: KeyOverview,
    private readonly rotations: RotationService,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    if (this.config.masterKeyRotationDays > 0)
      this.scheduler.every('master-key.rotate', HOUR, () => this.rotateIfDue());
  }

  /**
   * A version whose age its backend does not tell is never due: guessing would rotate once an hour.
   * The intent is durable first.
   */
  async rotateIfDue(): Promise<void> {
    if (!(await this.#isDue())) return;
    try {
      const intent = { action: 'master-key.rotate', actor: SCHEDULE, resource: 'master-key' } as const;
      await audited(this.audit, intent, () => this.rotations.rotateMasterKey(SCHEDULE));
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'rotation_running')) throw error;
    }
  }

  /**
   * The backend's clock says when the version was made, and this process's clock what the time is:
   * where the two are days apart, each version is old as soon as it is made. So two more ages are
   * asked for: since this process saw the version become current, by its monotonic clock, and since
   * the last rotation that took effect, by the job's row.
   */
  async #isDue(): Promise<boolean> {
    const { version, createdAt } = await this.overview.currentVersion();
    const least = this.config.masterKeyRotationDays * DAY;
    const now = this.clock.now();
    if (this.#currentForMs(version) < least || createdAt === 0 || now - createdAt < least) return false;
    const { items } = await this.rotations.list({ limit: LOOKED_AT, onTampered: () => undefined });
    // One of a replica whose clock is fast proves nothing to the others.
    const past = items.filter(({ inEffect, startedAt }) => inEffect && startedAt <= now);
    return past.every(({ startedAt }) => now - startedAt >= least);
  }

  /** Infinity where the version was current when this process first looked. */
  #currentForMs(version: number): number {
    const now = this.clock.elapsed();
    if (this.#seen?.version !== version) this.#seen = { version, since: this.#seen === undefined ? -Infinity : now };
    return now - this.#seen.since;
  }
}
