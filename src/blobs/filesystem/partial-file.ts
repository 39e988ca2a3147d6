import { FileHandle, open, rename, rm, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DomainError, MINUTE, isDomainError, syncFolder } from '../../kernel';
import { translated } from './disk';

const MODE = 0o600;
/** Few large writes: a call into the thread pool costs as much as copying some 100 KiB. */
const BATCH_BYTES = 512 * 1024;
/**
 * The disk begins to work when so many bytes are written, not when the last one is: nobody then
 * waits for a whole file's fsync.
 */
const SYNC_EACH_BYTES = 16 * 1024 * 1024;
/**
 * A put that waits for a slow source says so, or `removeAbandoned` would take its file for a dead
 * process's.
 */
const TOUCH_INTERVAL = MINUTE;

/**
 * The file of a blob that is not whole yet. Opening is exclusive: two puts of one id cannot both
 * write. One write is in flight while the next batch is collected, so that the disk and the source
 * (which encrypts) work at the same time.
 */
export class PartialFile {
  #size = 0;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  /**
   * Of a sync on the way. A file system tells such a fault once: the sync at the end would succeed
   * on what is lost.
   */
  #lost: { readonly fault: unknown } | undefined;
  readonly #touch: NodeJS.Timeout;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {
    this.#touch = setInterval(() => void touch(path), TOUCH_INTERVAL);
    this.#touch.unref();
  }

  static async create(path: string): Promise<PartialFile> {
    return new PartialFile(path, await open(path, 'wx', MODE));
  }

  /** Takes the chunk over: its bytes must not change until the put has ended. */
  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#batch.push(chunk);
    this.#batchBytes += chunk.length;
    this.#size += chunk.length;
    if (this.#batchBytes >= BATCH_BYTES) await this.#flush();
  }

  /** Makes the bytes durable and gives the file its final name. Returns its size. */
  async publish(finalPath: string): Promise<number> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    if (this.#lost !== undefined) throw this.#lost.fault;
    await translated(() => this.handle.sync());
    await this.#close();
    await translated(() => rename(this.path, finalPath)).catch((error: unknown) => {
      // `remove` took the partial file away: whoever did it held this put for dead.
      throw isDomainError(error, 'not_found') ? new DomainError('conflict', { cause: error }) : error;
    });
    await translated(() => syncFolder(dirname(finalPath))).catch(async (error: unknown) => {
      // Visible but perhaps not durable: a put that fails leaves nothing.
      await rm(finalPath, { force: true });
      throw error;
    });
    return this.#size;
  }

  /**
   * Leaves nothing behind. Never throws: it runs while another error is on its way, and
   * `removeAbandoned` comes by later.
   */
  async discard(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const [batch, bytes] = [this.#batch, this.#batchBytes];
    this.#batch = [];
    this.#batchBytes = 0;
    this.#beginSync();
    this.#unsynced += bytes;
    this.#writing = translated(() => writeAll(this.handle, batch));
    // The next flush or publish awaits it; until then a full disk must not count as an unhandled
    // rejection.
    this.#writing.catch(() => undefined);
  }

  /** Of what is written so far, while more is written. */
  #beginSync(): void {
    if (this.#unsynced < SYNC_EACH_BYTES || this.#syncing !== undefined) return;
    this.#unsynced = 0;
    this.#syncing = translated(() => this.handle.datasync())
      .catch((fault: unknown) => void (this.#lost = { fault }))
      .finally(() => (this.#syncing = undefined));
  }

  async #close(): Promise<void> {
    clearInterval(this.#touch);
    await this.#syncing;
    await this.handle.close();
  }
}

const touch = (path: string): Promise<void> => utimes(path, new Date(), new Date()).catch(() => undefined);

/**
 * writev may write less than all, as on a disk that is nearly full: the rest is tried again, and
 * then says why.
 */
async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  let rest = [...chunks];
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest);
    rest = without(rest, bytesWritten);
  }
}

function without(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) rest.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return rest;
}
