import { Injectable } from '@nestjs/common';
import { Clock, DomainError, StaleKeyVersionError, isDomainError } from '../../../kernel';
import { damageOf } from '../../../observability';
import { Collection, Store } from '../../../store';
import { ContentStore, OnBytes } from '../../content/content-store';
import { ActiveFile, FileDoc, fileCollection, hasExpired } from '../../model/file.collection';
import { ScrubFailure } from './scrub.service';

export type { OnBytes } from '../../content/content-store';

export interface FileFindings {
  readonly bytes: number;
  readonly failures: readonly ScrubFailure[];
}

export interface IdPage {
  readonly ids: readonly string[];
  readonly next: string | undefined;
}

/** Reads all versions of a file, also of one in the trash. */
@Injectable()
export class FileScrubber {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly contents: ContentStore,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  count(): Promise<number> {
    return this.#files.count('_id', []);
  }

  /**
   * Ids in order, including those of rows whose MAC does not verify. `after` is empty at the start.
   */
  async page(after: string, limit: number): Promise<IdPage> {
    const forged: string[] = [];
    const options = { limit, onTampered: (id: string) => void forged.push(id), ...(after !== '' && { after }) };
    const { items, next } = await this.#files.list('_id', [], options);
    return { ids: [...items.map((row) => row._id), ...forged].sort(), next };
  }

  /**
   * Undefined where nothing is to be read: the file or its owner was removed, or its upload has not
   * ended.
   * @throws DomainError `kms_unavailable`, `store_unavailable`, and what `onBytes` throws.
   */
  async read(id: string, onBytes: OnBytes): Promise<FileFindings | undefined> {
    let row: FileDoc | undefined;
    try {
      row = await this.#files.find('_id', id);
    } catch (error) {
      if (!isDomainError(error, 'integrity_failed')) throw error;
      return { bytes: 0, failures: [{ file_id: id, version: 0, code: 'integrity_failed' }] };
    }
    if (row === undefined || !isKept(row) || hasExpired(row, this.clock.now())) return undefined;
    return this.#readContents(row, onBytes);
  }

  async #readContents(row: FileDoc, onBytes: OnBytes): Promise<FileFindings | undefined> {
    const failures: ScrubFailure[] = [];
    let bytes = 0;
    let read = 0;
    const counted: OnBytes = (more) => {
      bytes += more;
      return onBytes(more);
    };
    for (const content of contentsOf(row)) {
      const found = await this.#readContent(content, counted);
      if (found === 'gone') continue;
      read += 1;
      if (found !== 'sound') failures.push({ file_id: row._id, version: content.version, code: found.code });
    }
    return read === 0 ? undefined : { bytes, failures };
  }

  async #readContent(content: ActiveFile, onBytes: OnBytes): Promise<'sound' | 'gone' | DomainError> {
    try {
      await this.contents.readThrough(content, onBytes);
      return 'sound';
    } catch (error) {
      // The row was re-encrypted since it was read: the new one opens.
      const current = error instanceof StaleKeyVersionError ? await this.#current(content) : undefined;
      if (current !== undefined) return this.#readContent(current, onBytes);
      const damage = faultOf(error);
      if (damage === undefined) throw error;
      return (await this.#isStillThere(content)) ? damage : 'gone';
    }
  }

  /** The same content under other envelopes; undefined where they are the same. */
  async #current(content: ActiveFile): Promise<ActiveFile | undefined> {
    const row = await this.#files.find('_id', content._id);
    if (row === undefined || !isKept(row)) return undefined;
    const found = contentsOf(row).find(({ blob_id }) => blob_id === content.blob_id);
    return found !== undefined && found.rev !== content.rev ? found : undefined;
  }

  /** A content that is removed loses its key and blob while it is read, and is not damaged. */
  async #isStillThere({ _id, blob_id }: ActiveFile): Promise<boolean> {
    const row = await this.#files.find('_id', _id);
    return row !== undefined && isKept(row) && contentsOf(row).some((content) => content.blob_id === blob_id);
  }
}

const isKept = (row: FileDoc): boolean => row.state === 'active' || row.state === 'trashed';

/** The row once for each version, as if that were the current one. */
function contentsOf(row: FileDoc): ActiveFile[] {
  const former = (row.others ?? []).filter(({ state }) => state === 'former');
  const contents = [
    row,
    ...former.map(({ state: _state, heartbeat_at: _beat, worker: _worker, ...own }) => ({ ...row, ...own })),
  ];
  return contents as ActiveFile[];
}

/**
 * The error to report for a damaged content; undefined for one of keys or store, which the job
 * waits for.
 */
function faultOf(error: unknown): DomainError | undefined {
  // `not_found`: the owner's keys are gone, and the rows will be.
  if (isDomainError(error, 'file_not_found', 'not_found')) return new DomainError('decryption_failed');
  return damageOf(error);
}
