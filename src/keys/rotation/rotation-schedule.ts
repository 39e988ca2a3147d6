import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { Scheduler } from '../../jobs';
import { audited, AuditSink, Clock, DAY, HOUR, isDomainError } from '../../kernel';
import { KeyOverview } from './key-overview';
import { Rotations } from './rotations';

const SCHEDULE = 'system:rotation-schedule';

/** Rotates the master key when its current version is KEY_ROTATION_DAYS old. The scheduler runs it on one replica at a time. */
@Injectable()
export class RotationSchedule implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly scheduler: Scheduler,
    private readonly overview: KeyOverview,
    private readonly rotations: Rotations,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    if (this.config.masterKeyRotationDays > 0)
      this.scheduler.every('master-key.rotate', HOUR, () => this.rotateIfDue());
  }

  /** A version whose age its backend does not tell is never due: guessing would rotate once an hour. The intent is durable first. */
  async rotateIfDue(): Promise<void> {
    const made = await this.overview.currentMadeAt();
    if (made === 0 || this.clock.now() - made < this.config.masterKeyRotationDays * DAY) return;
    try {
      const intent = { action: 'master-key.rotate', actor: SCHEDULE, resource: 'master-key' } as const;
      await audited(this.audit, intent, () => this.rotations.start(SCHEDULE));
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'rotation_running')) throw error;
    }
  }
}
