import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config/index';
import { AuditSink, Clock, DAY, Principal, auditedAfterLook } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { FileAccess } from './access';
import { fileNotFound } from '../model/file-encryption';
import { FileRemoval } from './file-removal';
import { Precondition, requireHolds } from '../model/etag';
import { isInTrash, isVisible } from '../model/file.collection';

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
    const isForGood = permanent || this.#trashMs === 0;
    const trashed = await this.access.trashed(caller, id);
    if (!isForGood && trashed !== undefined) return requireHolds(this.sealer, trashed, holds);
    const what = { actor: caller.actor, resource: `file/${id}` };
    await auditedAfterLook(this.audit, { action: isForGood ? 'file.delete' : 'file.trash', ...what }, async (begin) => {
      // An early look: the write itself asks `holds` again.
      await requireHolds(this.sealer, trashed ?? (await this.access.owned(caller, { id })), holds);
      await begin();
      await (isForGood ? this.removeForGood(id, holds) : this.moveToTrash(caller, id, holds));
    });
  }

  private async removeForGood(id: string, holds: Precondition | undefined): Promise<void> {
    const row = await this.removal.begin(id, async (current) => {
      const now = this.clock.now();
      if (!isVisible(current, now) && !isInTrash(current, now)) return false;
      await requireHolds(this.sealer, current, holds);
      return true;
    });
    if (row === undefined) throw fileNotFound();
    // It is gone already; what cannot be cleared away now the sweeper takes.
    await this.removal.finish(row).catch(() => undefined);
  }

  private async moveToTrash(caller: Principal, id: string, holds: Precondition | undefined): Promise<void> {
    const purgeAt = this.clock.now() + this.#trashMs;
    if (await this.removal.trash(id, purgeAt, (current) => requireHolds(this.sealer, current, holds))) return;
    // The same request once more, a moment ago.
    if ((await this.access.trashed(caller, id)) === undefined) throw fileNotFound();
  }
}
