import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { CONFIG, Config } from '../../../config/index';
import { Scheduler } from '../../../jobs/index';
import { audited, AuditSink, Clock, DAY, HOUR, isDomainError } from '../../../kernel/index';
import { Collection, Store } from '../../../store/index';
import { FileDoc, fileCollection } from '../../model/file.collection';
import { Scrubs } from './scrub.service';

const SCHEDULE = 'system:scrub-schedule';

/** Begins a scrub SCRUB_DAYS after the last one began; the first one when the oldest file is that old. */
@Injectable()
export class ScrubSchedule implements OnModuleInit {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    @Inject(CONFIG) private readonly config: Config,
    private readonly scheduler: Scheduler,
    private readonly scrubs: Scrubs,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  onModuleInit(): void {
    if (this.config.scrub.days > 0) this.scheduler.every('files.scrub', HOUR, () => this.startIfDue());
  }

  async startIfDue(): Promise<void> {
    const since = (await this.lastBegun()) ?? (await this.oldestFile());
    if (since === undefined || this.clock.now() - since < this.config.scrub.days * DAY) return;
    try {
      await audited(this.audit, { action: 'scrub.start', actor: SCHEDULE }, () => this.scrubs.start(SCHEDULE));
    } catch (error) {
      // One that an administrator began a moment ago serves as well.
      if (!isDomainError(error, 'conflict')) throw error;
    }
  }

  private async lastBegun(): Promise<number | undefined> {
    return (await this.scrubs.list({ limit: 1 })).items[0]?.createdAt;
  }

  /** Ids are in the order of time. */
  private async oldestFile(): Promise<number | undefined> {
    return (await this.#files.list('_id', [], { limit: 1, onTampered: () => undefined })).items[0]?.created_at;
  }
}
