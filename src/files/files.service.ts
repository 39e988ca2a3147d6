import { Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ByteRange } from '../blobs';
import { KeyExport, keyExport, sha256 } from '../crypto';
import { AuditAction, AuditIntent, AuditSink, Clock, Principal, audited, isDomainError } from '../kernel';
import { Sealer } from '../keys/user';
import { FileAccess, FileRef } from './file-access';
import { fileNotFound, openFileKey } from './file-cipher';
import { FileContents, contextOf } from './file-contents';
import { FileRemoval } from './file-removal';
import { FileView, showFile } from './file-view';
import { ActiveFile, isVisible } from './file.collection';

/** `clear` is the content; `stored` the message that it is kept as. */
export type Form = 'clear' | 'stored';

/** Whom the log names for a download. */
export type Reader = Pick<AuditIntent, 'actor' | 'details'>;

/** What of a file is asked for: its current version where none is named. */
export interface ContentChoice {
  readonly form: Form;
  readonly version?: number | undefined;
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
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly contents: FileContents,
    private readonly removal: FileRemoval,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `file_not_found` (also for a file of somebody else), `integrity_failed`, `decryption_failed`. */
  async get(caller: Principal, ref: FileRef): Promise<FileView> {
    return this.view(await this.access.readable(caller, ref));
  }

  /** @throws as `get`; its `open` as FileContents.read. */
  async content(caller: Principal, ref: FileRef, { form, version }: ContentChoice): Promise<ServedContent> {
    const row = await this.access.readable(caller, ref);
    if (version !== undefined && version !== row.version) throw fileNotFound();
    return this.contentOf(row, readerOf(caller, row), form);
  }

  /** The content of a row that `reader` was found to be allowed to read. */
  contentOf(row: ActiveFile, reader: Reader, form: Form): ServedContent {
    return form === 'clear' ? this.clearContent(reader, row) : this.storedContent(reader, row);
  }

  /** @throws DomainError `decryption_failed`, `kms_unavailable`. */
  view(row: ActiveFile): Promise<FileView> {
    return this.sealer.with(row.owner_id, (keys) => showFile(keys, row));
  }

  /** What opens the stored form of the current version, and nothing else. Owner only. */
  async exportKey(caller: Principal, id: string): Promise<KeyExport> {
    return audited(this.audit, intent('file.key-export', caller, id), async () => {
      const row = await this.access.owned(caller, { id });
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
      await this.access.owned(caller, { id });
      const row = await this.removal.begin(id, (current) => isVisible(current, this.clock.now()));
      if (row === undefined) throw fileNotFound();
      // It is gone already; what cannot be cleared away now the sweeper takes.
      await this.removal.finish(row).catch(() => undefined);
    });
  }

  private clearContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: `"${row._id}.${row.version}"`,
      modifiedAt: row.modified_at,
      size: row.size,
      describe: async () => {
        const view = await this.view(row);
        return { contentType: view.content_type, fileName: downloadName(view) };
      },
      open: (range) => this.opened(reader, row, 'clear', () => this.contents.read(row, range)),
    };
  }

  /** Its tag changes with the stored bytes, also where a new file key gives the same content another message. */
  private storedContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: `"${row._id}.${row.version}.${sha256(row.blob_id).toString('hex', 0, 8)}"`,
      modifiedAt: row.modified_at,
      size: row.encrypted_size,
      describe: async () => ({ contentType: STORED_MEDIA_TYPE, fileName: downloadName(await this.view(row)) }),
      open: (range) => this.opened(reader, row, 'stored', () => this.contents.readStored(row, range)),
    };
  }

  /** The entry is durable before a byte goes out. What does not verify is reported, whenever it shows. */
  private async opened(reader: Reader, row: ActiveFile, form: Form, open: () => Promise<Readable>): Promise<Readable> {
    const { actor, details } = reader;
    const resource = `file/${row._id}`;
    const what = {
      action: 'file.download' as const,
      actor,
      resource,
      details: { ...details, form, version: row.version },
    };
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

/** Where somebody else reads, the log names the owner too. */
const readerOf = ({ userId }: Principal, { owner_id: owner }: ActiveFile): Reader =>
  userId === owner ? { actor: userId } : { actor: userId, details: { owner } };

/** A file without a name is saved under its id. */
const downloadName = ({ name, id }: FileView): string => name ?? id;

const intent = (action: AuditAction, caller: Principal, fileId: string): AuditIntent => ({
  action,
  actor: caller.userId,
  resource: `file/${fileId}`,
});
