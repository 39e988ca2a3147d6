import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { batchFrames, FrameJob, Sealed, Unsealed } from './frame-cipher';
import { FrameEngine, InlineEngine, Returned } from './frame-engine';
import { FrameReply, FrameRequest } from './frame-protocol';

const COMPILED_WORKER = join(__dirname, 'frame-worker.js');
/** One core is left to the event loop; with more than four workers the disk is the bottleneck. */
const DEFAULT_WORKERS = Math.max(1, Math.min(4, availableParallelism() - 1));

/**
 * Shared by the active messages. With many messages, each has up to five batches: one filling, two
 * at the worker, two on the way to the disk.
 */
const SHARED_BYTES = 2 * 1024 * 1024;
const FEW_MESSAGES = 2;
const LEAST_BATCH_BYTES = 128 * 1024;

export interface FramePoolOptions {
  readonly workers?: number;
  /**
   * Entry file of the worker. @default the compiled one; if it does not exist (uncompiled sources),
   * the calling thread does the work
   */
  readonly worker?: WorkerEntry;
}

export interface WorkerEntry {
  readonly file: string;
  /** Node options for the worker, such as a hook that loads uncompiled sources. */
  readonly execArgv?: string[];
}

/**
 * Worker threads for the frames of large files, started on first use.
 * A message stays on one worker, because its batches are ordered and the hash state lives there. An
 * idle worker does not keep the process alive.
 */
export class FramePool {
  readonly #workers: (FrameThread | undefined)[];
  readonly #entry: WorkerEntry | undefined;

  constructor(options: FramePoolOptions = {}) {
    const entry = options.worker ?? { file: COMPILED_WORKER };
    this.#entry = existsSync(entry.file) ? entry : undefined;
    this.#workers = Array.from({ length: options.workers ?? DEFAULT_WORKERS });
  }

  /**
   * Returns an engine for one message on the least busy thread. Takes ownership of the job's key.
   */
  engine(job: FrameJob): FrameEngine {
    return this.#entry === undefined ? new InlineEngine(job) : this.#leastBusy(this.#entry).open(job);
  }

  /**
   * Number of frames that a message should submit at once. It bounds the memory of all active
   * messages together.
   */
  framesAtOnce(frameBytes: number): number {
    const share = Math.max(LEAST_BATCH_BYTES, SHARED_BYTES / Math.max(1, this.#load));
    return Math.min(batchFrames(frameBytes), Math.max(1, Math.floor(share / frameBytes)));
  }

  /**
   * Number of batches that a message keeps in flight. A few messages may read further ahead, so
   * that no thread waits for a late one.
   */
  get batchesAhead(): number {
    return this.#load <= FEW_MESSAGES ? 4 : 2;
  }

  get #load(): number {
    return this.#workers.reduce((sum, thread) => sum + (thread?.load ?? 0), 0);
  }

  /** Ends the threads; active messages fail. A later call of `engine` starts new threads. */
  async close(): Promise<void> {
    const threads = this.#workers.splice(0, this.#workers.length, ...this.#workers.map(() => undefined));
    await Promise.all(threads.map(async (thread) => thread?.stop()));
  }

  #leastBusy(entry: WorkerEntry): FrameThread {
    const load = (thread: FrameThread | undefined): number => (thread?.alive === true ? thread.load : 0);
    const loads = this.#workers.map(load);
    const index = loads.indexOf(Math.min(...loads));
    const known = this.#workers[index];
    if (known?.alive === true) return known;
    const started = new FrameThread(entry);
    this.#workers[index] = started;
    return started;
  }
}

type Work = Extract<FrameRequest, { kind: 'seal' | 'unseal' }>;
type Settle = { resolve: (reply: FrameReply) => void; reject: (error: Error) => void };

/** One worker thread and its messages. */
class FrameThread {
  alive = true;
  load = 0;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Settle[]>();
  #inFlight = 0;
  #streams = 0;

  constructor(entry: WorkerEntry) {
    // Empty environment: the worker does not need the secrets in it.
    this.#worker = new Worker(entry.file, { name: 'frames', env: {}, execArgv: entry.execArgv ?? [] });
    this.#worker.on('message', (reply: FrameReply) => this.#settle(reply));
    this.#worker.on('error', () => this.#die());
    this.#worker.on('exit', () => this.#die());
    this.#worker.unref();
  }

  open(job: FrameJob): FrameEngine {
    const stream = ++this.#streams;
    const key = detached(job.key);
    const messageId = detached(job.messageId);
    job.key.fill(0);
    this.#post({ kind: 'open', stream, key, messageId, frameBytes: job.frameBytes }, [key, messageId]);
    this.load++;
    return new ThreadEngine(stream, this);
  }

  run(work: Work): Promise<FrameReply> {
    if (!this.alive) return Promise.reject(new Error('a frame worker has stopped'));
    if (this.#inFlight++ === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      const queue = this.#waiting.get(work.stream) ?? [];
      queue.push({ resolve, reject });
      this.#waiting.set(work.stream, queue);
      this.#post(work, [work.slab]);
    });
  }

  close(stream: number): void {
    this.load--;
    if (this.alive) this.#post({ kind: 'close', stream }, []);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(request: FrameRequest, transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(request, transfer);
  }

  #settle(reply: FrameReply): void {
    const queue = this.#waiting.get(reply.stream);
    const next = queue?.shift();
    if (queue?.length === 0) this.#waiting.delete(reply.stream);
    if (--this.#inFlight === 0) this.#worker.unref();
    next?.resolve(reply);
  }

  #die(): void {
    this.alive = false;
    const orphans = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    for (const { reject } of orphans) reject(new Error('a frame worker has stopped'));
  }
}

class ThreadEngine implements FrameEngine {
  #open = true;

  constructor(
    private readonly stream: number,
    private readonly thread: FrameThread,
  ) {}

  async seal(slab: Buffer, length: number, final: boolean): Promise<Returned<Sealed>> {
    const { stream } = this;
    return returned<Sealed>(await this.thread.run({ kind: 'seal', stream, slab: whole(slab), length, final }));
  }

  async unseal(
    slab: Buffer,
    first: number,
    frames: number,
    lastBytes: number | undefined,
  ): Promise<Returned<Unsealed>> {
    const { stream } = this;
    const work: Work = { kind: 'unseal', stream, slab: whole(slab), first, frames, lastBytes };
    return returned<Unsealed>(await this.thread.run(work));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.thread.close(this.stream);
  }
}

function returned<T extends Sealed | Unsealed>(reply: FrameReply): Returned<T> {
  if ('failed' in reply.done) throw new Error('a frame worker could not do its work');
  return { slab: Buffer.from(reply.slab), ...(reply.done as T) };
}

/** Copies the bytes into an ArrayBuffer of their own, as a transfer requires. */
function detached(bytes: Buffer): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length);
  bytes.copy(Buffer.from(copy));
  return copy;
}

/** The memory of a slab. `newFrameBuffer` allocates slabs that own their memory. */
function whole(slab: Buffer): ArrayBuffer {
  if (!(slab.buffer instanceof ArrayBuffer) || slab.byteLength !== slab.buffer.byteLength) {
    throw new TypeError('a slab owns its memory');
  }
  return slab.buffer;
}
