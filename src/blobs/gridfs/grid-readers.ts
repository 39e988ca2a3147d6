import { mongo } from 'mongoose';
import { SECOND } from '../../kernel';
import { Grid, GridReader } from './grid';

/**
 * A reader that was silent for so long is dead. Clocks of replicas may differ by less than the rest
 * of it.
 */
const LEASE = 60 * SECOND;
const RENEWAL = 20 * SECOND;

/**
 * Who reads at length, so that a removal leaves them what they read: a file system keeps a removed
 * file for who has it open, and GridFS does not. A reader stores its lease and then looks whether
 * the file is there; a removal takes the file away and then looks for leases. So one of the two
 * sees the other, on whichever replicas they are; the chunks then go with the last reader.
 */
export class GridReaders {
  constructor(private readonly grid: Grid) {}

  async begin(id: string): Promise<GridLease> {
    const reader = { _id: new mongo.ObjectId(), files_id: id, until: leaseEnd() };
    await this.grid.readers((readers) => readers.insertOne(reader));
    return new GridLease(this.grid, reader, () => this.removeChunks(id));
  }

  /** Removes the chunks of a file that is gone, unless somebody reads them. */
  async removeChunks(id: string): Promise<void> {
    if (!(await this.any(id))) await this.grid.removeChunks(id);
  }

  async any(id: string): Promise<boolean> {
    const live = { files_id: { $eq: id }, until: { $gt: new Date() } };
    return (await this.grid.readers((readers) => readers.findOne(live))) !== null;
  }
}

/** Says that its reader lives, until it ends. */
export class GridLease {
  readonly #renewal: NodeJS.Timeout;

  constructor(
    private readonly grid: Grid,
    private readonly reader: GridReader,
    private readonly removeChunks: () => Promise<void>,
  ) {
    this.#renewal = setInterval(() => void this.#renew(), RENEWAL).unref();
  }

  /**
   * Never throws: a lease that stays runs out. Whoever was the last to read a file that is gone
   * takes its chunks away.
   */
  async end(): Promise<void> {
    clearInterval(this.#renewal);
    try {
      await this.grid.readers((readers) => readers.deleteOne({ _id: { $eq: this.reader._id } }));
      if ((await this.grid.file(this.reader.files_id)) === undefined) await this.removeChunks();
    } catch {
      // The hourly sweep comes by.
    }
  }

  async #renew(): Promise<void> {
    const change = { $set: { until: leaseEnd() } };
    await this.grid
      .readers((readers) => readers.updateOne({ _id: { $eq: this.reader._id } }, change))
      .catch(() => undefined);
  }
}

const leaseEnd = (): Date => new Date(Date.now() + LEASE);
