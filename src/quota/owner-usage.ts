import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { DomainError } from '../kernel';
import { Collection, Store } from '../store';
import { GatheredChanges } from './gathered-changes';
import { FileUsageDoc, fileUsageCollection } from './usage.collection';

/**
 * The rows that hold what each owner has of the quota. Files and records change one row, so no race
 * passes the quota.
 */
@Injectable()
export class OwnerUsage {
  readonly rows: Collection<FileUsageDoc>;
  readonly changes: GatheredChanges<FileUsageDoc>;
  /** USER_QUOTA; Infinity for none. */
  readonly quota: number;

  constructor(store: Store, @Inject(CONFIG) config: Config) {
    this.rows = store.collection(fileUsageCollection);
    this.changes = new GatheredChanges(this.rows);
    this.quota = config.files.userQuota ?? Infinity;
  }

  find(ownerId: string): Promise<FileUsageDoc | undefined> {
    return this.rows.find('_id', ownerId);
  }

  /** @throws DomainError `quota_exceeded` */
  requireRoom(usage: FileUsageDoc, bytes: number, what: 'file' | 'record'): void {
    if (takenOf(usage) + bytes > this.quota) throw quotaExceeded(what);
  }
}

/** All bytes that count. */
export const takenOf = (usage: FileUsageDoc | undefined): number => (usage?.bytes ?? 0) + (usage?.records?.bytes ?? 0);

export const quotaExceeded = (what: 'file' | 'record' = 'file'): DomainError =>
  new DomainError('quota_exceeded', { detail: `The ${what} would exceed the quota of this account.` });
