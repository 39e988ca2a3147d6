import { access, open, opendir, readdir, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { DomainError, HOUR, isDomainError } from '../../kernel';
import { BlobStore, ByteRange, ListOptions, isBlobId, requireBlobId } from '../blob-store';
import { ExpectedMedium, LOCATION_NAME, OWNER_NAME, bindTo } from '../owner';
import { Folders, OwnerFile, errnoOf, translated } from './disk';
import { PartialFile } from './partial-file';

/** Large reads: fewer trips to the thread pool, and still constant memory. */
const READ_BYTES = 512 * 1024;
const FAN_OUT_CHARS = 2;
/** Fan-out folders have two characters, so this one can hold no blob. */
const PARTIAL_FOLDER = 'partial';
const ABANDONED_AFTER = 6 * HOUR;

/**
 * Blobs as files under `<root>/<first two characters of the id>/<id>`. A blob is written to
 * `<root>/partial/<id>`, fsynced and renamed, and its folder is fsynced: it is there whole or not
 * at all. Several processes may share a root.
 */
export class FilesystemBlobStore extends BlobStore {
  readonly #root: string;
  readonly #partials: string;
  readonly #folders = new Folders();
  #prepared: Promise<void> | undefined;
  #location: string | undefined;

  constructor(root: string) {
    super();
    this.#root = root;
    this.#partials = join(root, PARTIAL_FOLDER);
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const path = this.#pathOf(id);
    await this.#prepare();
    await translated(() => this.#folders.make(dirname(path)));
    const file = await this.#createPartial(id);
    try {
      // Looked up while we alone may write this id: nobody can publish it between the look and the
      // rename.
      if (await exists(path)) throw alreadyThere();
      for await (const chunk of source) await file.write(chunk);
      return await file.publish(path);
    } catch (error) {
      await file.discard();
      throw error;
    }
  }

  async get(id: string, range?: ByteRange, chunkBytes = READ_BYTES): Promise<Readable> {
    const path = this.#pathOf(id);
    const handle = await translated(() => open(path, 'r')).catch((error: unknown) => this.#missed(error));
    return handle.createReadStream({ highWaterMark: chunkBytes, ...range });
  }

  async size(id: string): Promise<number | undefined> {
    const path = this.#pathOf(id);
    return translated(async () => (await stat(path)).size)
      .catch((error: unknown) => this.#missed(error))
      .catch(absent);
  }

  // Not fsynced: a name that a power cut brings back belongs to no row, and the sweep of blobs
  // without a row removes it again.
  async remove(id: string): Promise<void> {
    await this.discard(id);
    const path = this.#pathOf(id);
    await translated(() => unlink(path)).catch(absent);
  }

  async discard(id: string): Promise<void> {
    const path = this.#partialOf(id);
    await translated(() => unlink(path)).catch(absent);
  }

  async *list(options: ListOptions = {}): AsyncIterable<string> {
    await this.#prepare();
    await this.#requireMedium();
    for (const folder of await translated(() => readdir(this.#root))) {
      if (folder.length === FAN_OUT_CHARS) yield* this.#listFolder(join(this.#root, folder), options);
    }
  }

  async sweep(ageMs: number): Promise<void> {
    await this.#prepare();
    await translated(() => removeAbandoned(this.#partials, ageMs));
  }

  /** The marks are read before any folder is made: an empty mount point stays empty. */
  async open(installationId: string, expected: ExpectedMedium = 'new'): Promise<string> {
    const marks = { owner: this.#mark(OWNER_NAME), location: this.#mark(LOCATION_NAME) };
    this.#location = await bindTo({ installationId, expected, place: this.#root }, marks);
    await this.#prepare();
    return this.#location;
  }

  async ping(): Promise<void> {
    await this.#prepare();
    await this.#requireMedium();
    const path = join(this.#partials, `.ping-${process.pid}`);
    await translated(async () => {
      await (await open(path, 'w', 0o600)).close();
      await rm(path, { force: true });
    });
  }

  #mark(name: string): OwnerFile {
    const drafts = async (): Promise<string> => {
      await this.#prepare();
      return this.#partials;
    };
    return new OwnerFile(this.#root, name, drafts);
  }

  /**
   * A blob that is not there is missing only on the medium of the start: that of a volume which
   * went away is unknown.
   */
  async #missed(error: unknown): Promise<never> {
    if (isDomainError(error, 'not_found')) await this.#requireMedium();
    throw error;
  }

  /**
   * @throws DomainError `store_unavailable` where a volume was unmounted, or another one mounted,
   * since the store was opened.
   */
  async #requireMedium(): Promise<void> {
    if (this.#location === undefined || (await this.#mark(LOCATION_NAME).read()) === this.#location) return;
    throw new DomainError('store_unavailable', { detail: 'The blob folder is not the one that was opened.' });
  }

  #pathOf(id: string): string {
    requireBlobId(id);
    return join(this.#root, id.slice(0, FAN_OUT_CHARS).padEnd(FAN_OUT_CHARS, '_'), id);
  }

  #partialOf(id: string): string {
    requireBlobId(id);
    return join(this.#partials, id);
  }

  async #createPartial(id: string): Promise<PartialFile> {
    return translated(() => PartialFile.create(this.#partialOf(id))).catch((error: unknown) => {
      if (isDomainError(error, 'not_found')) throw new DomainError('store_unavailable', { cause: error });
      throw error instanceof DomainError && errnoOf(error.cause) === 'EEXIST' ? alreadyThere() : error;
    });
  }

  async *#listFolder(folder: string, { olderThanMs }: ListOptions): AsyncIterable<string> {
    const before = Date.now() - (olderThanMs ?? 0);
    const entries = await translated(() => opendir(folder));
    for await (const { name } of entries) {
      if (!isBlobId(name)) continue;
      if (olderThanMs === undefined || (await writtenAt(join(folder, name))) < before) yield name;
    }
  }

  /** Once a process, and again after a failure (a disk that was full or not mounted yet). */
  async #prepare(): Promise<void> {
    this.#prepared ??= translated(async () => {
      await this.#folders.make(this.#partials);
      await removeAbandoned(this.#partials, ABANDONED_AFTER);
    });
    await this.#prepared.catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
  }
}

function absent(error: unknown): undefined {
  if (error instanceof DomainError && error.code === 'not_found') return undefined;
  throw error;
}

const alreadyThere = (): DomainError =>
  new DomainError('conflict', { detail: 'A blob with this name exists already.' });

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Of a blob that went meanwhile: later than anything. */
const writtenAt = (path: string): Promise<number> =>
  translated(() => stat(path)).then(
    ({ mtimeMs }) => mtimeMs,
    (error: unknown) => {
      absent(error);
      return Infinity;
    },
  );

/**
 * What killed processes left. A put that lives touches its file each minute, also one of another
 * process on this root.
 */
async function removeAbandoned(folder: string, ageMs: number): Promise<void> {
  const before = Date.now() - ageMs;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && facts.mtimeMs < before) await rm(path, { force: true });
  }
}
