import { setTimeout as sleep } from 'node:timers/promises';
import { newId, SystemClock } from '../../src/kernel';
import { SensitiveDataService } from '../../src/sensitive-data/sensitive-data.service';
import { noQuota } from './usage';
import { type KeyFixture } from './key-fixture';
import { person } from './person';
import { isOutage } from './outages';

/**
 * What was acknowledged, a line each: `wrote <record> <owner>`, `made <owner>`, `erasing <owner>`,
 * `erased <owner>`.
 */
export type Acknowledge = (line: string) => void;

export interface TrafficOptions {
  readonly fixture: KeyFixture;
  /** Owners who are there, and are not erased. */
  readonly owners: readonly string[];
  readonly acknowledge: Acknowledge;
  /** Anything but success and an outage (503). */
  readonly fault: (line: string) => void;
  /** Between two acts of one kind. */
  readonly pauseMs: number;
}

/**
 * So many owners are made by one replica: without a bound a slow machine would make more of them,
 * each rotation take longer, and so on.
 */
const MADE_AT_MOST = 25;

/**
 * Writers, registrations and erasures of one replica, without end. Each one's record holds its own
 * id.
 */
export class RotationTraffic {
  readonly #records: SensitiveDataService;
  readonly #loops: Promise<void>[] = [];
  readonly #made: string[] = [];
  #registered = 0;
  #stop = false;
  #turn = 0;

  constructor(private readonly options: TrafficOptions) {
    const { store, sealer, audit } = options.fixture;
    this.#records = new SensitiveDataService(store, sealer, audit, new SystemClock(), noQuota(store));
  }

  start(): void {
    for (const act of [() => this.write(), () => this.#register(), () => this.#erase()]) {
      this.#loops.push(this.#repeat(act));
    }
  }

  /** Resolves when the last act has ended. */
  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#loops);
  }

  async #repeat(act: () => Promise<void>): Promise<void> {
    while (!this.#stop) {
      await act().catch((error: unknown) => {
        if (!isOutage(error)) this.options.fault(`${act.toString()}: ${String(error)}`);
      });
      await sleep(this.options.pauseMs);
    }
  }

  /** One record of the next owner. */
  async write(): Promise<void> {
    const owner = this.options.owners[(this.#turn += 7) % this.options.owners.length]!;
    const { record } = await this.#records.create(person(owner), { dataType: 'note', value: `of ${owner}` });
    this.options.acknowledge(`wrote ${record.id} ${owner}`);
  }

  async #register(): Promise<void> {
    if (this.#registered >= MADE_AT_MOST) return;
    const id = newId();
    await this.options.fixture.userKeys.create(id, id);
    this.#registered += 1;
    this.options.acknowledge(`made ${id}`);
    this.#made.push(id);
  }

  /** Every other one of those that were made here, so that some of them stay. */
  async #erase(): Promise<void> {
    const [id] = this.#made.length < 2 ? [] : this.#made.splice(0, 2);
    if (id === undefined) return;
    this.options.acknowledge(`erasing ${id}`);
    await this.options.fixture.userKeys.destroy(id);
    this.options.acknowledge(`erased ${id}`);
  }
}
