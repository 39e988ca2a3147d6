import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { Scheduler } from '../../jobs';
import { Clock, DAY, HOUR, isDomainError } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../master';
import { Rotations } from './rotations';

const SCHEDULE = 'system:rotation-schedule';

/** Rotates the master key when its current version is KEY_ROTATION_DAYS old. The scheduler runs it on one replica at a time. */
@Injectable()
export class RotationSchedule implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly scheduler: Scheduler,
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly rotations: Rotations,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    if (this.config.masterKeyRotationDays > 0)
      this.scheduler.every('master-key.rotate', HOUR, () => this.rotateIfDue());
  }

  /** A version whose age its home does not tell is never due: guessing would rotate once an hour. */
  async rotateIfDue(): Promise<void> {
    const [{ current }, { versions }] = [await this.row.read(), await this.masterKey.state()];
    const made = versions.find(({ version }) => version === current)?.createdAt ?? 0;
    if (made === 0 || this.clock.now() - made < this.config.masterKeyRotationDays * DAY) return;
    try {
      await this.rotations.start(SCHEDULE);
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'rotation_running')) throw error;
    }
  }
}
