import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, failpoint, isDomainError } from '../../kernel';
import { BlobStore } from '../blob-store';

export interface HashStream {
  update(data: Uint8Array): void;
  digest(): Buffer;
}
export type NewHash = () => HashStream;

const PAUSE = 200;
/**
 * So often another mover of the same blob is waited for before what it left is taken for a dead
 * one's.
 */
const PATIENCE = 10;

/**
 * Moves single blobs: copies, reads the copy back, and only then removes the original. May die
 * anywhere and be repeated, and several may move the same blob: a copy is visible when it is whole,
 * only an unfinished one is ever discarded, and the original goes last.
 */
export class BlobMover {
  constructor(
    private readonly from: BlobStore,
    private readonly to: BlobStore,
    private readonly newHash: NewHash,
    /**
     * Whether blobs still go there: asked right before an original is removed. A move may be turned
     * round while this one sleeps.
     */
    private readonly isMeant: () => Promise<boolean>,
  ) {}

  /**
   * Resolves with the bytes moved; undefined where the blob is not there any more.
   * @throws DomainError `integrity_failed`; `conflict` where blobs do not go there any more: the
   * original stays
   */
  async move(id: string): Promise<number | undefined> {
    const size = await this.from.size(id);
    if (size === undefined) return undefined;
    const digest = await this.#copy(id);
    if (digest === undefined) return undefined;
    failpoint('blobs.copied');
    await this.#verify(id, size, digest);
    if (!(await this.isMeant())) throw turnedRound();
    await this.from.remove(id);
    failpoint('blobs.removed');
    return size;
  }

  /** The SHA-256 of the original, once there is a copy. */
  async #copy(id: string): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        if ((await this.to.size(id)) !== undefined) return await this.#digest(this.from, id);
        return await this.#copyOnce(id);
      } catch (error) {
        if (isDomainError(error, 'not_found') && (await this.from.size(id)) === undefined) return undefined;
        if (!isDomainError(error, 'conflict') || attempt > 2 * PATIENCE) throw error;
        if (attempt % PATIENCE === 0) await this.to.discard(id);
        await sleep(PAUSE);
      }
    }
  }

  async #copyOnce(id: string): Promise<Buffer> {
    const hash = this.newHash();
    const source = await this.from.get(id);
    try {
      await this.to.put(id, hashed(source, hash));
      return hash.digest();
    } finally {
      // A put that is refused takes nothing from it.
      source.destroy();
    }
  }

  async #verify(id: string, size: number, digest: Buffer): Promise<void> {
    const copied = await this.to.size(id);
    if (copied === size && digest.equals(await this.#digest(this.to, id))) return;
    // Readers look at the new place first; the original is still there.
    if ((await this.from.size(id)) !== undefined) await this.to.remove(id);
    throw new DomainError('integrity_failed', { detail: 'The copy of a blob differs from its original.' });
  }

  async #digest(store: BlobStore, id: string): Promise<Buffer> {
    const hash = this.newHash();
    for await (const chunk of await store.get(id)) hash.update(chunk as Uint8Array);
    return hash.digest();
  }
}

export const turnedRound = (): DomainError =>
  new DomainError('conflict', { detail: 'Another migration has reversed this migration of blobs.' });

async function* hashed(source: AsyncIterable<Uint8Array>, hash: HashStream): AsyncIterable<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
