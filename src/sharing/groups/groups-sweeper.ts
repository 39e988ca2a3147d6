import { Injectable, OnModuleInit } from '@nestjs/common';
import { Scheduler } from '../../jobs';
import { Clock, MINUTE } from '../../kernel';
import { Collection, Store, scanRows } from '../../store';
import { GroupDoc, groupCollection } from './group.collection';
import { GroupRemoval } from './group-removal';

/** Far longer than any request lives; a writer that slept longer finds its row gone and answers 503. */
const ABANDONED_AFTER = 15 * MINUTE;

/** Finishes removals of groups that stopped half-way, and removes groups whose making did. */
@Injectable()
export class GroupsSweeper implements OnModuleInit {
  readonly #groups: Collection<GroupDoc>;

  constructor(
    store: Store,
    private readonly removal: GroupRemoval,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
  ) {
    this.#groups = store.collection(groupCollection);
  }

  onModuleInit(): void {
    this.scheduler.every('groups.sweep', MINUTE, () => this.sweep());
  }

  async sweep(): Promise<void> {
    const before = this.clock.now() - ABANDONED_AFTER;
    for await (const group of scanRows(this.#groups, 'changing', [])) {
      if (group.state === 'deleting') await this.removal.finish(group._id);
      // The revision leaves alone what was activated meanwhile.
      else if ((group.changing_since ?? Infinity) < before) await this.#groups.remove(group._id, group.rev);
    }
  }
}
