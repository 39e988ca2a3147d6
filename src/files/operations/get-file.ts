import { Injectable, Optional } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ByteRange } from '../../blobs';
import { KeyExport, keyExport } from '../../crypto';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  Principal,
  auditedAfterLook,
  isDomainError,
  retryOnStaleKey,
} from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { DamageReports } from '../../observability';
import { ContentStore, contextOf } from '../content/content-store';
import { contentTag, messageTag } from '../model/etag';
import { FileView, fileNotFound, showFile } from '../model/file';
import { openFileKey } from '../model/file-encryption';
import { ActiveFile } from '../model/file.collection';
import { atVersion } from '../model/versions';
import { FileAccess, FileRef } from './access';

/** `clear` is the decrypted content, `stored` the encrypted message. */
export type Form = 'clear' | 'stored';

/** The actor that the audit log names for a download. */
export type Reader = Pick<AuditIntent, 'actor' | 'details'>;

/** The version, the current one by default, and its form. */
export interface ContentChoice {
  readonly form: Form;
  readonly version?: number | undefined;
}

/** A content that the caller may read. Nothing is read before `open`. */
export interface ServedContent {
  readonly etag: string;
  readonly modifiedAt: number;
  readonly size: number;
  describe(): Promise<{ readonly contentType: string; readonly fileName: string }>;
  open(range: ByteRange | undefined): Promise<Readable>;
}

const STORED_MEDIA_TYPE = 'application/octet-stream';

@Injectable()
export class GetFile {
  constructor(
    private readonly access: FileAccess,
    private readonly sealer: Sealer,
    private readonly contents: ContentStore,
    private readonly audit: AuditSink,
    @Optional() private readonly damage?: DamageReports,
  ) {}

  /**
   * @throws DomainError `file_not_found` (also for a file of somebody else), `integrity_failed`,
   * `decryption_failed`.
   */
  async get(caller: Principal, ref: FileRef): Promise<FileView> {
    return retryOnStaleKey(async () => this.view(await this.access.readable(caller, ref)));
  }

  /** @throws as `get`; its `open` as ContentStore.read. */
  async content(caller: Principal, ref: FileRef, { form, version }: ContentChoice): Promise<ServedContent> {
    const row = await this.#version(caller, ref, version);
    return this.contentOf(row, readerOf(caller, row), form);
  }

  /** The content of a row, for a reader who has been authorized. */
  contentOf(row: ActiveFile, reader: Reader, form: Form): ServedContent {
    return form === 'clear' ? this.#clearContent(reader, row) : this.#storedContent(reader, row);
  }

  /** A row as the API shows it. @throws DomainError `decryption_failed`, `kms_unavailable`. */
  view(row: ActiveFile): Promise<FileView> {
    return this.sealer.with(row.owner_id, (keys) => showFile(keys, row));
  }

  /** The key of the stored form of one version, the current one by default. For the owner only. */
  async exportKey(caller: Principal, id: string, version?: number): Promise<KeyExport> {
    return auditedAfterLook(this.audit, intent('file.key-export', caller, id), async (begin) => {
      const { _id } = await this.access.owned(caller, { id });
      return retryOnStaleKey(async () => {
        const row = await this.#version(caller, { id: _id }, version);
        await begin();
        return this.#keyOf(row);
      });
    });
  }

  async #keyOf(row: ActiveFile): Promise<KeyExport> {
    const key = await this.sealer.with(row.owner_id, (keys) => openFileKey(keys, row));
    try {
      return keyExport(key, contextOf(row));
    } finally {
      key.destroy();
    }
  }

  /** Earlier versions are for the owner alone. */
  async #version(caller: Principal, ref: FileRef, version: number | undefined): Promise<ActiveFile> {
    const row = await this.access.readable(caller, ref);
    if (version === undefined || version === row.version) return row;
    const former = atVersion(await this.access.owned(caller, { id: row._id }), version);
    if (former === undefined) throw fileNotFound();
    return former;
  }

  #clearContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: contentTag(row),
      modifiedAt: row.modified_at,
      size: row.size,
      describe: async () => {
        const view = await this.view(row);
        return { contentType: view.content_type, fileName: downloadName(view) };
      },
      open: (range) => this.#opened(reader, row, 'clear', () => this.contents.read(row, range)),
    };
  }

  #storedContent(reader: Reader, row: ActiveFile): ServedContent {
    return {
      etag: messageTag(row),
      modifiedAt: row.modified_at,
      size: row.encrypted_size,
      describe: async () => ({ contentType: STORED_MEDIA_TYPE, fileName: downloadName(await this.view(row)) }),
      open: (range) => this.#opened(reader, row, 'stored', () => this.contents.readStored(row, range)),
    };
  }

  /** The audit entry is durable before a byte is sent. Reports damage whenever it shows. */
  async #opened(reader: Reader, row: ActiveFile, form: Form, open: () => Promise<Readable>): Promise<Readable> {
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

/** Where a grantee reads, the log names the owner too. */
const readerOf = ({ ownerId, actor }: Principal, { owner_id: owner }: ActiveFile): Reader =>
  ownerId === owner ? { actor } : { actor, details: { owner } };

/** By the reader, not by damage. */
const isCutShort = (error: Error | null): boolean =>
  error === null || ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE');

/** A file without a name is saved under its id. */
const downloadName = ({ name, id }: FileView): string => name ?? id;

const intent = (action: AuditAction, caller: Principal, fileId: string): AuditIntent => ({
  action,
  actor: caller.actor,
  resource: `file/${fileId}`,
});
