import { type Answer, type Client, expectStatus } from './client';
import { KillLedger, MARKER, type UploadChunk } from './kill-ledger';
import { Seeded } from './seeded';

const FILES_EACH = 5;
const RECORDS_EACH = 20;

export interface KillTraffic {
  readonly client: Client;
  readonly ledger: KillLedger;
  readonly sample: Buffer;
  /** Sizes are from 1 byte to this, each power of two as often as the others. */
  readonly largest: number;
}

/**
 * One writer: files that come, get new versions and go, records too, one act after another until it
 * is told to stop.
 */
export class KillWriter {
  readonly #random: Seeded;
  readonly #files = new Map<string, string>();
  readonly #records: string[] = [];
  #count = 0;

  constructor(
    private readonly traffic: KillTraffic,
    private readonly name: string,
    seed: number,
  ) {
    this.#random = new Seeded(seed);
  }

  /** Resolves when `killed` says so and the act under way has its answer or has lost it. */
  async run(killed: () => boolean): Promise<void> {
    while (!killed()) {
      try {
        await this.#act();
      } catch (error) {
        if (killed()) return;
        this.traffic.ledger.faults.push(`${this.name}: ${String(error)}`);
      }
    }
  }

  async #act(): Promise<void> {
    const turn = this.#random.below(10);
    if (turn < 5) await (this.#files.size < FILES_EACH ? this.#upload() : this.#remove());
    else if (turn < 7) await this.#replace();
    else if (turn < 9) await (this.#records.length < RECORDS_EACH ? this.#write() : this.#removeRecord());
    else await this.#rewrite();
  }

  async #upload(): Promise<void> {
    const name = `${this.name}-${(this.#count += 1)}`;
    const piece = this.#piece();
    await this.traffic.ledger.file(name, piece, async () => {
      const { id } = expectStatus(await this.traffic.client.uploadRaw(name, this.#bytes(piece)), 201) as { id: string };
      this.#files.set(name, id);
    });
  }

  async #replace(): Promise<void> {
    if (this.#files.size === 0) return this.#upload();
    const [name, id] = this.#random.pick([...this.#files]);
    const piece = this.#piece();
    const headers = { 'content-type': 'application/octet-stream', 'if-match': '*' };
    const put = (): Promise<Answer> =>
      this.traffic.client.send('PUT', `/files/${id}/content`, { body: this.#bytes(piece), headers });
    await this.traffic.ledger.file(name, piece, async () => void expectStatus(await put(), 200));
  }

  /** Taken off this writer's list before it is asked for: nobody knows how it ends. */
  async #remove(): Promise<void> {
    const [name, id] = this.#random.pick([...this.#files]);
    this.#files.delete(name);
    const remove = async (): Promise<unknown> => expectStatus(await this.traffic.client.delete(`/files/${id}`), 204);
    await this.traffic.ledger.file(name, undefined, remove);
  }

  async #write(): Promise<void> {
    const value = this.#value();
    const id = await this.traffic.ledger.newRecord(value, async () => {
      const answer = await this.traffic.client.post('/sensitive-data', { data_type: 'note', value });
      return (expectStatus(answer, 200) as { id: string }).id;
    });
    this.#records.push(id);
  }

  async #rewrite(): Promise<void> {
    if (this.#records.length === 0) return this.#write();
    const id = this.#random.pick(this.#records);
    const value = this.#value();
    await this.traffic.ledger.record(id, value, async () => {
      expectStatus(await this.traffic.client.put(`/sensitive-data/${id}`, { data_type: 'note', value }), 200);
    });
  }

  async #removeRecord(): Promise<void> {
    const id = this.#records.shift()!;
    const remove = async (): Promise<unknown> =>
      expectStatus(await this.traffic.client.delete(`/sensitive-data/${id}`), 200);
    await this.traffic.ledger.record(id, undefined, remove);
  }

  #piece(): UploadChunk {
    const { largest, sample } = this.traffic;
    const top = 2 ** this.#random.below(Math.log2(largest) + 1);
    const size = Math.max(1, top - this.#random.below(top / 2 + 1));
    return { start: this.#random.below(sample.length - size), size };
  }

  #bytes({ start, size }: UploadChunk): Buffer {
    return this.traffic.sample.subarray(start, start + size);
  }

  #value(): string {
    return `${this.name} ${(this.#count += 1)} ${MARKER}`;
  }
}
