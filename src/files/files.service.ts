import { Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ByteRange } from '../blobs';
import { KeyExport, keyExport, sha256 } from '../crypto';
import { AuditAction, AuditIntent, AuditSink, Clock, Principal, audited, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Position, Store } from '../store';
import { fileNotFound, openFileKey } from './file-cipher';
import { FileContents, contextOf } from './file-contents';
import { fileName } from './file-name';
import { FilePage, RowPage, matchingPage } from './file-pages';
import { FileRemoval } from './file-removal';
import { FileView, showFile } from './file-view';
import { ActiveFile, FileDoc, fileCollection, isVisible } from './file.collection';

/** How a request names a file. */
export type FileRef = { readonly id: string } | { readonly name: string };

/** `clear` is the content; `stored` the message that it is kept as. */
export type Form = 'clear' | 'stored';

/** What of a file is asked for: its current version where none is named. */
export interface ContentChoice {
  readonly form: Form;
  readonly version?: number | undefined;
}

export interface ListChoice {
  readonly limit: number;
  readonly after: Position | undefined;
  /** Only files whose names begin so. */
  readonly prefix?: string | undefined;
}

/** A content that may be served. Nothing of it is read before it is asked for. */
export interface ServedContent {
  readonly etag: string;
  readonly modifiedAt: number;
  readonly size: number;
  describe(): Promise<{ readonly contentType: string; readonly fileName: string }>;
  open(range: ByteRange | undefined): Promise<Readable>;
}

const STORED_MEDIA_TYPE = 'application/octet-stream';

@Injectable()
export class FilesService {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly contents: FileContents,
    private readonly removal: FileRemoval,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** @throws DomainError `file_not_found` (also for a file of somebody else), `integrity_failed`, `decryption_failed`. */
  async get(caller: Principal, ref: FileRef): Promise<FileView> {
    return this.show(await this.visible(caller, ref));
  }

  /** Oldest first. A page may hold fewer files than `limit`, even none, and still have a next one. */
  async list(caller: Principal, { limit, after, prefix }: ListChoice): Promise<FilePage> {
    const read = (size: number, from: Position | undefined) => this.rows(caller, size, from);
    if (prefix !== undefined) {
      return matchingPage(read, { limit, after, matches: (file) => file.name.startsWith(prefix) });
    }
    const { rows, next } = await read(limit, after);
    return { files: rows.filter((file) => file !== undefined), next };
  }

  /** The file of exactly this name, if there is one. */
  async listNamed(caller: Principal, name: string, prefix = ''): Promise<FilePage> {
    if (!name.startsWith(prefix)) return { files: [], next: undefined };
    try {
      return { files: [await this.get(caller, { name })], next: undefined };
    } catch (error) {
      if (isDomainError(error, 'file_not_found')) return { files: [], next: undefined };
      throw error;
    }
  }

  /** @throws as `get`; its `open` as FileContents.read. */
  async content(caller: Principal, ref: FileRef, { form, version }: ContentChoice): Promise<ServedContent> {
    const row = await this.visible(caller, ref);
    if (version !== undefined && version !== row.version) throw fileNotFound();
    return form === 'clear' ? this.clearContent(caller, row) : this.storedContent(caller, row);
  }

  /** What opens the stored form of the current version, and nothing else. Owner only. */
  async exportKey(caller: Principal, id: string): Promise<KeyExport> {
    return audited(this.audit, intent('file.key-export', caller, id), async () => {
      const row = await this.visible(caller, { id });
      const key = await this.sealer.with(row.owner_id, (keys) => openFileKey(keys, row));
      try {
        return keyExport(key, contextOf(row));
      } finally {
        key.destroy();
      }
    });
  }

  async remove(caller: Principal, id: string): Promise<void> {
    await audited(this.audit, intent('file.delete', caller, id), async () => {
      const ours = (row: FileDoc): boolean => row.owner_id === caller.userId && isVisible(row, this.clock.now());
      const row = await this.removal.begin(id, ours);
      if (row === undefined) throw fileNotFound();
      // It is gone already; what cannot be cleared away now the sweeper takes.
      await this.removal.finish(row).catch(() => undefined);
    });
  }

  private async rows(caller: Principal, limit: number, after: Position | undefined): Promise<RowPage> {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#files.list('owner', [caller.userId, 'active'], options);
    const now = this.clock.now();
    const shown = (keys: OwnerKeys) => page.items.map((row) => (isVisible(row, now) ? showFile(keys, row) : undefined));
    return { rows: await this.sealer.with(caller.userId, shown), next: page.next };
  }

  private async visible(caller: Principal, ref: FileRef): Promise<ActiveFile> {
    const row = 'id' in ref ? await this.#files.find('_id', ref.id) : await this.named(caller, ref.name);
    if (row?.owner_id !== caller.userId || !isVisible(row, this.clock.now())) throw fileNotFound();
    return row;
  }

  private async named(caller: Principal, name: string): Promise<FileDoc | undefined> {
    if ('fault' in fileName(name)) return undefined;
    const index = await this.sealer.with(caller.userId, (keys) => keys.nameIndex(name));
    return this.#files.find('name', caller.userId, index);
  }

  private show(row: ActiveFile): Promise<FileView> {
    return this.sealer.with(row.owner_id, (keys) => showFile(keys, row));
  }

  private clearContent(caller: Principal, row: ActiveFile): ServedContent {
    return {
      etag: `"${row._id}.${row.version}"`,
      modifiedAt: row.modified_at,
      size: row.size,
      describe: async () => {
        const view = await this.show(row);
        return { contentType: view.content_type, fileName: view.name };
      },
      open: (range) => this.opened(caller, row, 'clear', () => this.contents.read(row, range)),
    };
  }

  /** Its tag changes with the stored bytes, also where a new file key gives the same content another message. */
  private storedContent(caller: Principal, row: ActiveFile): ServedContent {
    return {
      etag: `"${row._id}.${row.version}.${sha256(row.blob_id).toString('hex', 0, 8)}"`,
      modifiedAt: row.modified_at,
      size: row.encrypted_size,
      describe: async () => ({ contentType: STORED_MEDIA_TYPE, fileName: (await this.show(row)).name }),
      open: (range) => this.opened(caller, row, 'stored', () => this.contents.readStored(row, range)),
    };
  }

  /** The entry is durable before a byte goes out. What does not verify is reported, whenever it shows. */
  private async opened(
    caller: Principal,
    row: ActiveFile,
    form: Form,
    open: () => Promise<Readable>,
  ): Promise<Readable> {
    const what = { ...intent('file.download', caller, row._id), details: { form, version: row.version } };
    const report = (error: unknown): void => {
      if (isDomainError(error)) this.audit.note({ ...what, details: { ...what.details, code: error.code } }, 'failed');
    };
    try {
      const stream = await open();
      stream.once('error', report);
      await this.audit.read(what).catch((refusal: unknown) => {
        stream.destroy();
        throw refusal;
      });
      return stream;
    } catch (error) {
      report(error);
      throw error;
    }
  }
}

const intent = (action: AuditAction, caller: Principal, fileId: string): AuditIntent => ({
  action,
  actor: caller.userId,
  resource: `file/${fileId}`,
});
