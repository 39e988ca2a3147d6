import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  ChunkBatch,
  Principal,
  LinkHolder,
  audited,
  auditedAfterLook,
  notedIfRefused,
  requireUnnarrowed,
} from '../../kernel';
import { LinkDoc, LinkRedemption, Links, NewLink, NewTicket, Tickets } from '../../links';
import { Page, Position } from '../../store';
import { FileView, UploadRequest } from '../model/file';
import { FileAccess } from './access';
import { CreateFile } from './create-file';
import { GetFile, ServedContent } from './get-file';

export interface OpenedLink extends NewTicket {
  readonly file: FileView;
}

/** Links to files: owners create them, and anybody who has one redeems it. */
@Injectable()
export class FileLinks {
  constructor(
    private readonly access: FileAccess,
    private readonly files: GetFile,
    private readonly links: Links,
    private readonly opening: LinkRedemption,
    private readonly tickets: Tickets,
    private readonly audit: AuditSink,
  ) {}

  /** @throws DomainError `file_not_found`, `permission_denied`, and as Links.create. */
  async create(
    caller: Principal,
    fileId: string,
    limits: Pick<NewLink, 'expiresInMs' | 'maxUses' | 'password'>,
  ): Promise<{ readonly row: LinkDoc; readonly token: string }> {
    return auditedAfterLook(this.audit, intent('link.create', caller.actor, `file/${fileId}`), async (begin) => {
      const { _id: resource, owner_id: ownerId } = await this.access.owned(caller, { id: fileId });
      const made = await this.links.create({ kind: 'download', ownerId, resource, ...limits }, begin);
      // A file that was removed meanwhile may have lost its links before this one came.
      if (!(await this.access.isKept(resource))) await this.links.forget(resource);
      return made;
    });
  }

  async list(caller: Principal, fileId: string, limit: number, after: Position | undefined): Promise<Page<LinkDoc>> {
    const { _id: resource } = await this.access.owned(caller, { id: fileId });
    return this.links.list({ resource }, limit, after);
  }

  async remove(caller: Principal, fileId: string, linkId: string): Promise<void> {
    await auditedAfterLook(this.audit, intent('link.remove', caller.actor, `link/${linkId}`), async (begin) => {
      await this.access.owned(caller, { id: fileId });
      await this.links.remove(linkId, (link) => link.resource === fileId, begin);
    });
  }

  /**
   * @throws as LinkRedemption.open; `file_not_found` where the file is gone: then nothing is spent.
   */
  async open(token: string, password: string | undefined): Promise<OpenedLink> {
    const key = { kind: 'download', token, password } as const;
    const what = openingIntent('link.open', this.opening.claimedId(key));
    const act = async (): Promise<OpenedLink> => {
      const found: { file?: FileView } = {};
      const ticket = await this.opening.open(key, async (link) => {
        found.file = await this.files.view(await this.access.linked(link.resource ?? '', link.owner_id));
      });
      if (found.file === undefined) throw new TypeError('a link was opened without a look at its file');
      return { ...ticket, file: found.file };
    };
    return audited(this.audit, what, act, ({ file }) => ({ file: file.id }));
  }

  /** The current content of the file of a ticket. @throws as Tickets.download; `file_not_found`. */
  async content(ticketId: string, ticket: string): Promise<ServedContent> {
    const { link, row } = await notedIfRefused(this.audit, { action: 'file.download', actor: ANYBODY }, async () => {
      const found = await this.tickets.download(ticketId, ticket);
      return { link: found, row: await this.access.linked(found.resource ?? '', found.owner_id) };
    });
    return this.files.contentOf(row, { actor: ANYBODY, details: { link: link._id } }, 'clear');
  }

  /** Extends a ticket while its content is sent, until the returned function is called. */
  keepTicket(ticketId: string): () => void {
    return this.tickets.keepAlive(ticketId);
  }
}

/** The actor of a redemption: the log knows no more than the link. */
const ANYBODY = 'anonymous';

/** Strangers may guess links: the log counts a flood of refusals instead of listing it. */
export const openingIntent = (action: AuditAction, linkId: string | undefined): AuditIntent => ({
  action,
  actor: ANYBODY,
  ...(linkId !== undefined && { resource: `link/${linkId}` }),
  gathers: true,
});

/** Links through which files are uploaded to their owner. */
@Injectable()
export class UploadLinkRedemptions {
  constructor(
    private readonly links: Links,
    private readonly opening: LinkRedemption,
    private readonly tickets: Tickets,
    private readonly uploads: CreateFile,
    private readonly audit: AuditSink,
  ) {}

  async create(
    caller: Principal,
    limits: Pick<NewLink, 'expiresInMs' | 'maxUses' | 'maxSize' | 'password'>,
  ): Promise<{ readonly row: LinkDoc; readonly token: string }> {
    return auditedAfterLook(this.audit, intent('upload-link.create', caller.actor), async (begin) => {
      // Its holder chooses the names.
      requireUnnarrowed(caller);
      return this.links.create({ kind: 'upload', ownerId: caller.ownerId, ...limits }, begin);
    });
  }

  list(caller: Principal, limit: number, after: Position | undefined): Promise<Page<LinkDoc>> {
    return this.links.list({ uploadLinksOf: caller.ownerId }, limit, after);
  }

  async remove(caller: Principal, linkId: string): Promise<void> {
    const isOwn = (link: LinkDoc): boolean => link.kind === 'upload' && link.owner_id === caller.ownerId;
    await auditedAfterLook(this.audit, intent('upload-link.remove', caller.actor, `link/${linkId}`), (begin) =>
      this.links.remove(linkId, isOwn, begin),
    );
  }

  /** @throws as LinkRedemption.open */
  async open(token: string, password: string | undefined): Promise<NewTicket> {
    const key = { kind: 'upload', token, password } as const;
    return audited(this.audit, openingIntent('upload-link.open', this.opening.claimedId(key)), () =>
      this.opening.open(key, () => Promise.resolve()),
    );
  }

  /**
   * Stores one file for one ticket, which a failed upload gives back.
   * @throws as CreateFile.upload, but never `file_exists`; `conflict` where the ticket has been
   * used.
   */
  async receive(
    sender: LinkHolder,
    request: UploadRequest,
    body: AsyncIterable<ChunkBatch>,
    declaredBytes: number | undefined,
  ): Promise<FileView> {
    const { ticketId } = sender;
    await this.tickets.take(ticketId);
    try {
      return await this.uploads.upload(sender, request, body, declaredBytes);
    } catch (error) {
      await this.tickets.giveBack(ticketId).catch(() => undefined);
      throw error;
    }
  }
}

const intent = (action: AuditAction, actor: string, resource?: string): AuditIntent => ({
  action,
  actor,
  ...(resource !== undefined && { resource }),
});
