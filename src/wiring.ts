import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { AbandonedAccounts } from './auth';
import { BlobStore } from './blobs';
import { BlobRelocation, BlobRelocations } from './blobs/relocation';
import { envelopeVersion } from './crypto';
import { ResponseSealer, Lifecycle } from './http';
import { Scheduler } from './jobs';
import { AuditSink, HOUR, MINUTE, ReadinessProbe, ciphertext, isDomainError, plaintext } from './kernel';
import { MasterKey } from './keys/master-key';
import { UserDataHandlers } from './keys/rotation';
import { OrphanedKeys, Sealer, EncryptionContext, WrapStore, UserKeyRotator } from './keys/user-keys';
import { OwnerNames } from './keys/user-keys/wrap-stores';
import { Metrics } from './observability';
import { Store, adoptBlobLocation, beginBlobMove, endBlobMove, readBlobPlacement, recordBlobLocation } from './store';
import { usersCollection } from './users';

/** Small joints between modules that do not know each other. No adapter is named here; app.module does that. */

/** Takes in what the row seals find. The audit log lies on the sealed store itself, so it is connected once both are there. */
@Injectable()
export class TamperedRows {
  private readonly logger = new Logger('store');
  /** A bad row that a poll or a page meets again and again is told once a minute: it must not fill the log. */
  private readonly told = new LRUCache<string, true>({ max: 1_000, ttl: MINUTE });
  #sink: AuditSink | undefined;

  constructor(
    private readonly metrics: Metrics,
    private readonly lifecycle: Lifecycle,
  ) {}

  connect(sink: AuditSink): void {
    this.#sink = sink;
  }

  readonly watch = (collection: string): void => this.metrics.watchForgedRows(collection);

  readonly report = (collection: string, id: string): void => {
    // A first start seals its rows as it goes on, and one that meets a forged row is refused with a line of its own.
    if (!this.lifecycle.hasStarted) return;
    this.metrics.countForgedRow(collection);
    const row = `${collection}/${id}`;
    if (this.told.has(row)) return;
    this.told.set(row, true);
    this.logger.error({ collection, id, msg: 'a stored row does not hold its seal' });
    // Noting a forged row of the log itself would go round in circles: verification finds those.
    if (collection.startsWith('audit')) return;
    this.#sink?.note({ action: 'row.forged', actor: 'system:store', resource: row }, 'refused');
  };
}

/** A copy of the store while it is in use, for the backup command; undefined where the engine has tools of its own for that. */
export class StoreCopy {
  constructor(readonly into: ((folder: string) => Promise<void>) | undefined) {}
}

/** Kept answers under the caller's own key: erasing the key erases them. */
@Injectable()
export class OwnerResponseSealer extends ResponseSealer {
  constructor(private readonly sealer: Sealer) {
    super();
  }

  seal(userId: string, id: string, answer: string): Promise<string> {
    const value = plaintext(Buffer.from(answer, 'utf8'));
    return this.sealer.with(userId, (keys) => keys.seal('secrets', place(userId, id), value).toString('base64'));
  }

  open(userId: string, id: string, sealed: string): Promise<string> {
    const envelope = ciphertext(Buffer.from(sealed, 'base64'));
    return this.sealer.with(userId, (keys) => keys.open('secrets', place(userId, id), envelope).toString('utf8'));
  }

  renew(userId: string, id: string, sealed: string): Promise<string | undefined> {
    const envelope = ciphertext(Buffer.from(sealed, 'base64'));
    return this.sealer.with(userId, (keys) => {
      if (envelopeVersion(envelope) >= keys.version) return undefined;
      const value = keys.open('secrets', place(userId, id), envelope);
      return keys.seal('secrets', place(userId, id), value).toString('base64');
    });
  }
}

const place = (ownerId: string, resourceId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'idempotency-key',
  resourceId,
  field: 'answer',
});

/** Where blobs lie, by the installation document. */
@Injectable()
export class InstallationBlobRelocations extends BlobRelocations {
  constructor(private readonly store: Store) {
    super();
  }

  current(): Promise<BlobRelocation> {
    return readBlobPlacement(this.store);
  }

  begin(to: string, location: string): Promise<BlobRelocation> {
    return beginBlobMove(this.store, to, location);
  }

  end(to: string): Promise<BlobRelocation> {
    return endBlobMove(this.store, to);
  }

  record(name: string, location: string): Promise<BlobRelocation> {
    return recordBlobLocation(this.store, name, location);
  }

  adopt(name: string, location: string): Promise<BlobRelocation> {
    return adoptBlobLocation(this.store, name, location);
  }
}

/** Keys of accounts lie in Vault under their user names. */
@Injectable()
export class AccountNames extends OwnerNames {
  constructor(private readonly store: Store) {
    super();
  }

  async nameOf(ownerId: string): Promise<string | undefined> {
    return (await this.store.collection(usersCollection).find('_id', ownerId))?.username;
  }
}

/** Ends what registrations left that never ended, so that their user names are free again. */
@Injectable()
export class RegistrationSweep implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly accounts: AbandonedAccounts,
    private readonly keys: OrphanedKeys,
    private readonly rotator: UserKeyRotator,
    private readonly handlers: UserDataHandlers,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('registrations.sweep', 10 * MINUTE, () => this.sweep());
  }

  /** Accounts first: where the end of one stops half-way its key has no account, and goes in the same turn. */
  async sweep(): Promise<void> {
    await this.accounts.sweep((owner) => this.isUsed(owner));
    await this.keys.sweep((owner) => this.isUsed(owner));
  }

  private async isUsed(owner: string): Promise<boolean> {
    const versions = await this.versionsOf(owner);
    for (const handler of this.handlers.all)
      if ((await handler.countByKeyVersion(owner, versions)).some((count) => count > 0)) return true;
    return false;
  }

  /** Nothing is sealed under a key that is not active; to look for its first version costs nothing. */
  private async versionsOf(owner: string): Promise<readonly number[]> {
    try {
      return (await this.rotator.state(owner)).versions.map(({ version }) => version);
    } catch (error) {
      if (isDomainError(error, 'not_found')) return [1];
      throw error;
    }
  }
}

/** What /readyz asks; audit registers its own. */
export const probesOf = (
  store: Store,
  keys: readonly (MasterKey | WrapStore)[],
  blobs: BlobStore,
): readonly ReadinessProbe[] => [
  { name: 'store', check: () => store.ping() },
  {
    name: 'kms',
    check: async () => {
      await Promise.all(keys.map((home) => home.ping()));
    },
  },
  { name: 'blobs', check: () => blobs.ping() },
];

/** Removes the indexes that only former releases used, once no process of one may serve. */
@Injectable()
export class FormerIndexes implements OnModuleInit {
  constructor(
    private readonly store: Store,
    private readonly scheduler: Scheduler,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('store.former-indexes', HOUR, async () => {
      await this.store.dropFormerIndexes();
    });
  }
}
