import { Injectable, Optional } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ByteRange } from '../../blobs/index';
import { KeyExport, keyExport } from '../../crypto/index';
import { AuditAction, AuditIntent, AuditSink, Principal, auditedAfterLook, isDomainError } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { DamageReports } from '../../observability/index';
import { atVersion } from '../model/versions';
import { FileAccess, FileRef } from './access';
import { fileNotFound, openFileKey } from '../model/file-encryption';
import { FileContents, contextOf } from '../content/content-store';
import { contentTag, messageTag } from '../model/etag';
import { FileView, showFile } from '../model/file-view';
import { ActiveFile } from '../model/file.collection';

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
    private readonly audit: AuditSink,
    @Optional() private readonly damage?: DamageReports,
  ) {}

  /** @throws DomainError `file_not_found` (also for a file of somebody else), `integrity_failed`, `decryption_failed`. */
  async get(caller: Principal, ref: FileRef): Promise<FileView> {
    return this.view(await this.access.readable(caller, ref));
  }

  /** @throws as `get`; its `open` as FileContents.read. */
  async content(caller: Principal, ref: FileRef, { form, version }: ContentChoice): Promise<ServedContent> {
    const row = await this.version(caller, ref, version);
    return this.contentOf(row, readerOf(caller, row), form);
  }

  /** The content of a row that `reader` was found to be allowed to read. */
  contentOf(row: ActiveFile, reader: Reader, form: Form): ServedContent {
    return form === 'clear' ? this.clearContent(reader, row) : this.storedContent(reader, row);
  }

  /** A row that was read or changed a moment ago, as the API gives it. @throws DomainError `decryption_failed`, `kms_unavailable`. */
  view(row: ActiveFile): Promise<FileView> {
    return this.sealer.with(row.owner_id, (keys) => showFile(keys, row));
  }

  /** What opens the stored form of a version, the current one where none is named, and nothing else. Owner only. */
  async exportKey(caller: Principal, id: string, version?: number): Promise<KeyExport> {
    return auditedAfterLook(this.audit, intent('file.key-export', caller, id), async (begin) => {
      const { _id } = await this.access.owned(caller, { id });
      const row = await this.version(caller, { id: _id }, version);
      await begin();
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

  private clearContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: contentTag(row),
      modifiedAt: row.modified_at,
      size: row.size,
      describe: async () => {
        const view = await this.view(row);
        return { contentType: view.content_type, fileName: downloadName(view) };
      },
      open: (range) => this.opened(reader, row, 'clear', () => this.contents.read(row, range)),
    };
  }

  private storedContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: messageTag(row),
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
      stream.once('close', () => {
        if (!stream.readableEnded && isCutShort(stream.errored)) this.damage?.aborted(row._id, row.version, actor);
      });
      return stream;
    } catch (error) {
      report(error);
      throw error;
    }
  }
}

/** Where somebody else reads, the log names the owner too. */
const readerOf = ({ ownerId, actor }: Principal, { owner_id: owner }: ActiveFile): Reader =>
  ownerId === owner ? { actor } : { actor, details: { owner } };

/** By who reads, not by what is read. */
const isCutShort = (error: Error | null): boolean =>
  error === null || ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE');

/** A file without a name is saved under its id. */
const downloadName = ({ name, id }: FileView): string => name ?? id;

const intent = (action: AuditAction, caller: Principal, fileId: string): AuditIntent => ({
  action,
  actor: caller.actor,
  resource: `file/${fileId}`,
});
