import { Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ByteRange } from '../blobs';
import { KeyExport, keyExport } from '../crypto';
import { AuditAction, AuditIntent, AuditSink, Principal, audited, isDomainError } from '../kernel';
import { Sealer } from '../keys/user';
import { atVersion } from './content-versions';
import { FileAccess, FileRef } from './file-access';
import { fileNotFound, openFileKey } from './file-cipher';
import { FileContents, contextOf } from './file-contents';
import { contentTag, messageTag } from './file-tags';
import { FileView, showFile } from './file-view';
import { ActiveFile } from './file.collection';

/** `clear` is the content; `stored` the message that it is kept as. */
export type Form = 'clear' | 'stored';

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
    private readonly audit: AuditSink,
  ) {}

  /** @throws DomainError `file_not_found` (also for a file of somebody else), `integrity_failed`, `decryption_failed`. */
  async get(caller: Principal, ref: FileRef): Promise<FileView> {
    return this.show(await this.access.readable(caller, ref));
  }

  /** @throws as `get`; its `open` as FileContents.read. */
  async content(caller: Principal, ref: FileRef, { form, version }: ContentChoice): Promise<ServedContent> {
    const row = await this.version(caller, ref, version);
    return form === 'clear' ? this.clearContent(caller, row) : this.storedContent(caller, row);
  }

  /** What opens the stored form of a version, the current one where none is named, and nothing else. Owner only. */
  async exportKey(caller: Principal, id: string, version?: number): Promise<KeyExport> {
    return audited(this.audit, intent('file.key-export', caller, id), async () => {
      const { _id } = await this.access.owned(caller, { id });
      const row = await this.version(caller, { id: _id }, version);
      const key = await this.sealer.with(row.owner_id, (keys) => openFileKey(keys, row));
      try {
        return keyExport(key, contextOf(row));
      } finally {
        key.destroy();
      }
    });
  }

  /** An earlier version is its owner's alone: who may read a file may read what it is now. */
  private async version(caller: Principal, ref: FileRef, version: number | undefined): Promise<ActiveFile> {
    const row = await this.access.readable(caller, ref);
    if (version === undefined || version === row.version) return row;
    const former = atVersion(await this.access.owned(caller, { id: row._id }), version);
    if (former === undefined) throw fileNotFound();
    return former;
  }

  /** A row that was read or changed a moment ago, as the API gives it. */
  show(row: ActiveFile): Promise<FileView> {
    return this.sealer.with(row.owner_id, (keys) => showFile(keys, row));
  }

  private clearContent(caller: Principal, row: ActiveFile): ServedContent {
    return {
      etag: contentTag(row),
      modifiedAt: row.modified_at,
      size: row.size,
      describe: async () => {
        const view = await this.show(row);
        return { contentType: view.content_type, fileName: downloadName(view) };
      },
      open: (range) => this.opened(caller, row, 'clear', () => this.contents.read(row, range)),
    };
  }

  private storedContent(caller: Principal, row: ActiveFile): ServedContent {
    return {
      etag: messageTag(row),
      modifiedAt: row.modified_at,
      size: row.encrypted_size,
      describe: async () => ({ contentType: STORED_MEDIA_TYPE, fileName: downloadName(await this.show(row)) }),
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

/** A file without a name is saved under its id. */
const downloadName = ({ name, id }: FileView): string => name ?? id;

const intent = (action: AuditAction, caller: Principal, fileId: string): AuditIntent => ({
  action,
  actor: caller.userId,
  resource: `file/${fileId}`,
});
