import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, Post } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { IsInt } from 'class-validator';
import { Policy } from '../src/http';
import { MasterKey, MasterKeyRow, MAX_BATCH } from '../src/keys/master-key';
import { RotationService } from '../src/keys/rotation';
import { WrapStore, userKeysCollection } from '../src/keys/user-keys';
import { userKeyContext } from '../src/keys/user-keys/wraps';
import type { UserKeyDoc } from '../src/keys/user-keys/user-keys.collection';
import { Collection, Store } from '../src/store';
import { seedOwners } from '../test/support/seed-owners';

export class SeedDto {
  @IsInt()
  from!: number;

  @IsInt()
  count!: number;
}

export interface Rates {
  readonly rewrap: number;
  readonly replace: number;
}

export interface Run {
  readonly seconds: number;
  readonly keys: number;
}

const SAMPLE = 4_000;
/** How late the end of a rotation may be noticed: little beside a second. */
const LOOK_EVERY_MS = 10;
/** A question for the result waits so long for it. */
const RESULT_MS = 20_000;

/**
 * The rotation inside the server that is measured, and the two things that it consists of, bare: on
 * the same rows, in the batches it sends.
 */
@ApiExcludeController()
@Controller('bench/rotation')
export class RotationController {
  readonly #rows: Collection<UserKeyDoc>;
  #running: Promise<Run> | undefined;

  constructor(
    private readonly store: Store,
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly home: WrapStore,
    private readonly rotations: RotationService,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  @Post('owners')
  @Policy({ scope: 'account' })
  async seed(@Body() { from, count }: SeedDto): Promise<{ seconds: number }> {
    const ids = Array.from({ length: count }, (_, n) => `bench-owner-${from + n}`);
    return { seconds: await secondsOf(() => seedOwners(this.parts, ids)) };
  }

  /**
   * Keys a second: wrapped again by the key home, and written by compare-and-set. Neither changes
   * what the keys are.
   */
  @Post('rates')
  @Policy({ scope: 'account' })
  async rates(): Promise<Rates> {
    const rows = await this.#sample();
    const { current } = await this.row.read();
    const items = rows.flatMap(({ _id, versions: [entry] }) =>
      entry === undefined
        ? []
        : [
            {
              wrapped: { masterVersion: entry.master_version, ciphertext: entry.wrapped },
              context: userKeyContext(_id, entry.version),
            },
          ],
    );
    const rewrap = await secondsOf(() => inBatches(items, (batch) => this.masterKey.rewrap(current, batch)));
    const replace = await secondsOf(() => inBatches(rows, (batch) => this.#rows.replaceMany(batch)));
    return { rewrap: items.length / rewrap, replace: rows.length / replace };
  }

  @Post('run')
  @Policy({ scope: 'account' })
  run(): object {
    this.#running = this.#rotate();
    this.#running.catch(() => undefined);
    return {};
  }

  /**
   * How the rotation went; nothing while it goes on: beside readers it takes longer than a
   * connection may be silent.
   */
  @Post('result')
  @Policy({ scope: 'account' })
  async result(): Promise<{ run?: Run }> {
    const run = await Promise.race([this.#running, sleep(RESULT_MS, undefined)]);
    return run === undefined ? {} : { run };
  }

  async #rotate(): Promise<Run> {
    let keys = 0;
    const seconds = await secondsOf(async () => {
      const { id } = await this.rotations.rotateMasterKey('bench');
      for (;;) {
        const { state, done, failed } = await this.rotations.find(id);
        if (state === 'done' && failed === 0) keys = done;
        else if (state !== 'running') throw new Error(`the rotation is ${state}, ${failed} failed`);
        if (state === 'done') return;
        await sleep(LOOK_EVERY_MS);
      }
    });
    return { seconds, keys };
  }

  async #sample(): Promise<UserKeyDoc[]> {
    const rows: UserKeyDoc[] = [];
    for (let after: string | undefined; rows.length < SAMPLE;) {
      const page = await this.#rows.list('_id', [], { limit: 1_000, ...(after === undefined ? {} : { after }) });
      rows.push(...page.items);
      if (page.next === undefined) return rows;
      after = page.next;
    }
    return rows;
  }

  get parts() {
    return { store: this.store, masterKey: this.masterKey, row: this.row, home: this.home };
  }
}

async function inBatches<T>(items: readonly T[], work: (batch: readonly T[]) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < items.length; start += MAX_BATCH) await work(items.slice(start, start + MAX_BATCH));
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
