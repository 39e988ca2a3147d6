import { type Client, expectStatus } from './client';
import { sampleBytes } from './messages';

/** A part of the sample: what a file holds. Different ones differ. */
export interface UploadChunk {
  readonly start: number;
  readonly size: number;
}

/** What a file or a record may be; undefined for not there. */
type States<T> = readonly (T | undefined)[];

export const MARKER = 'a marker that stands in no file, log or store in clear';
const MARK_EACH = 64 * 1024;

/**
 * What any byte of any file is taken from. The marker is in each piece that is large enough, and in
 * each record.
 */
export function killSample(size: number): Buffer {
  const sample = Buffer.from(sampleBytes(size));
  for (let at = 0; at + MARKER.length < size; at += MARK_EACH) sample.write(MARKER, at);
  return sample;
}

/**
 * What writers were told and what they were not: after a kill each file and record is in one of the
 * states that it may be in. Once it has been looked at it stays in that one, so a write that was
 * not acknowledged is there from then on, or never.
 */
export class KillLedger {
  readonly faults: string[] = [];
  acknowledged = 0;
  doubts = 0;
  readonly #files = new Map<string, States<UploadChunk>>();
  readonly #records = new Map<string, States<string>>();
  /** Values of records whose id nobody was told. */
  readonly #unanswered = new Set<string>();
  readonly #touched = new Set<string>();

  constructor(private readonly sample: Buffer) {}

  /** Does something to a file: until it resolves the file may be as before or as after. */
  async file(name: string, after: UploadChunk | undefined, act: () => Promise<unknown>): Promise<void> {
    const before = this.#files.get(name) ?? [undefined];
    this.#touched.add(name);
    this.#files.set(name, [...before, after]);
    await act();
    this.#files.set(name, [after]);
    this.acknowledged += 1;
  }

  async record(id: string, after: string | undefined, act: () => Promise<unknown>): Promise<void> {
    const before = this.#records.get(id) ?? [undefined];
    this.#records.set(id, [...before, after]);
    await act();
    this.#records.set(id, [after]);
    this.acknowledged += 1;
  }

  async newRecord(value: string, act: () => Promise<string>): Promise<string> {
    this.#unanswered.add(value);
    const id = await act();
    this.#records.set(id, [value]);
    this.#unanswered.delete(value);
    this.acknowledged += 1;
    return id;
  }

  /** Looks at what was touched since the last time, or at all of it. */
  async check(client: Client, all = false): Promise<void> {
    for (const name of all ? [...this.#files.keys()] : [...this.#touched]) await this.#checkFile(client, name);
    this.#touched.clear();
    await this.#checkRecords(client);
  }

  /** Names of the files that are there. */
  names(): string[] {
    return [...this.#files].flatMap(([name, [state]]) => (state === undefined ? [] : [name])).sort();
  }

  async #checkFile(client: Client, name: string): Promise<void> {
    const states = this.#files.get(name)!;
    if (states.length > 1) this.doubts += 1;
    const answer = await client.get(`/files/by-name/${name}/content`);
    const isIt = (piece: UploadChunk | undefined): boolean =>
      piece === undefined ? answer.status === 404 : answer.status === 200 && answer.bytes.equals(this.#bytes(piece));
    const found = states.findIndex(isIt);
    if (found >= 0) this.#files.set(name, [states[found]]);
    else
      this.faults.push(
        `file ${name}: ${answer.status}, ${answer.bytes.length} bytes; may be ${JSON.stringify(states)}`,
      );
  }

  async #checkRecords(client: Client): Promise<void> {
    const items = expectStatus(await client.get('/sensitive-data'), 200) as { id: string; value: string }[];
    const there = new Map(items.map(({ id, value }) => [id, value]));
    for (const [id, states] of this.#records) {
      if (states.includes(there.get(id))) this.#records.set(id, [there.get(id)]);
      else this.faults.push(`record ${id}: ${there.get(id)?.slice(0, 40)}; may be ${states.length} others`);
    }
    for (const [id, value] of there) {
      if (this.#records.has(id)) continue;
      if (this.#unanswered.has(value)) this.#records.set(id, [value]);
      else this.faults.push(`record ${id} was written by nobody`);
    }
    this.#unanswered.clear();
  }

  #bytes({ start, size }: UploadChunk): Buffer {
    return this.sample.subarray(start, start + size);
  }
}
