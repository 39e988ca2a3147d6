import { Injectable } from '@nestjs/common';
import { failpoint } from '../../kernel';
import { type OwnerKeys, type SealedInsert, Sealer } from './sealer';
import { UserKeyAccess } from './user-key-access';

@Injectable()
export class UserKeySealer extends Sealer {
  constructor(private readonly access: UserKeyAccess) {
    super();
  }

  async with<T>(ownerId: string, use: (keys: OwnerKeys) => T | Promise<T>): Promise<T> {
    return this.access.use(await this.access.row(ownerId), use);
  }

  /**
   * The wrap protocol for a row under a user key. Either a retire of the user key version sees the pending row, or this sees the new epoch,
   * however long it slept in between.
   */
  async insert<Row>(ownerId: string, steps: SealedInsert<Row>): Promise<Row> {
    let seen = await this.access.row(ownerId);
    let row = await this.access.use(seen, (keys) => steps.pending(keys));
    failpoint('sealer.pending-stored');
    for (;;) {
      const now = await this.access.rowAsItIsNow(ownerId);
      if (now.epoch === seen.epoch) break;
      const stale = row;
      row = await this.access.use(now, (keys) => steps.again(stale, keys));
      failpoint('sealer.sealed-again');
      seen = now;
    }
    const activated = await steps.activate(row);
    failpoint('sealer.activated');
    return activated;
  }
}
