import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { AuditSink, Clock, DAY, Principal, audited } from '../kernel';
import { Sealer } from '../keys/user';
import { FileAccess } from './file-access';
import { fileNotFound } from './file-cipher';
import { FileRemoval } from './file-removal';
import { Precondition, currentTags } from './file-tags';
import { ActiveFile, FileDoc, isInTrash, isVisible } from './file.collection';

export interface Removal {
  /** The request's If-Match, where it has one. */
  readonly holds?: Precondition | undefined;
  readonly permanent?: boolean;
}

/** DELETE: to the trash where there is one, or for good. A client that repeats it, since it had no answer, finds the file in the trash still. */
@Injectable()
export class FileDeletion {
  readonly #trashMs: number;

  constructor(
    private readonly access: FileAccess,
    private readonly removal: FileRemoval,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    @Inject(CONFIG) config: Config,
  ) {
    this.#trashMs = config.files.trashDays * DAY;
  }

  /** @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`, `integrity_failed`. */
  async remove(caller: Principal, id: string, { holds, permanent = false }: Removal = {}): Promise<void> {
    if (holds !== undefined) await this.check(caller, id, holds);
    const what = { actor: caller.userId, resource: `file/${id}` };
    if (permanent || this.#trashMs === 0) {
      await audited(this.audit, { action: 'file.delete', ...what }, () => this.removeForGood(caller, id));
    } else if ((await this.access.trashed(caller, id)) === undefined) {
      await audited(this.audit, { action: 'file.trash', ...what }, () => this.moveToTrash(caller, id));
    }
  }

  /** As the file is now: one that is changed between this look and the removal goes as well. */
  private async check(caller: Principal, id: string, holds: Precondition): Promise<void> {
    const row = (await this.access.trashed(caller, id)) ?? (await this.access.owned(caller, { id }));
    await this.sealer.with(row.owner_id, (keys) => holds(...currentTags(keys, row as ActiveFile)));
  }

  private async removeForGood(caller: Principal, id: string): Promise<void> {
    if ((await this.access.trashed(caller, id)) === undefined) await this.access.owned(caller, { id });
    const isThere = (row: FileDoc): boolean => isVisible(row, this.clock.now()) || isInTrash(row, this.clock.now());
    const row = await this.removal.begin(id, isThere);
    if (row === undefined) throw fileNotFound();
    // It is gone already; what cannot be cleared away now the sweeper takes.
    await this.removal.finish(row).catch(() => undefined);
  }

  private async moveToTrash(caller: Principal, id: string): Promise<void> {
    await this.access.owned(caller, { id });
    if (await this.removal.trash(id, this.clock.now() + this.#trashMs)) return;
    // The same request once more, a moment ago.
    if ((await this.access.trashed(caller, id)) === undefined) throw fileNotFound();
  }
}
