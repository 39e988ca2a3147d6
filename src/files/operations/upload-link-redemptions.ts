import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  ChunkBatch,
  LinkHolder,
  Principal,
  audited,
  auditedAfterLook,
} from '../../kernel/index';
import { LinkDoc, LinkRedemption, Links, NewLink, NewTicket, Tickets } from '../../links/index';
import { Page, Position } from '../../store/index';
import { FileUploads } from './create-file';
import { FileView } from '../model/file-view';
import { UploadRequest } from '../http/request/upload-fields';
import { openingIntent } from './file-links';

/** Links through which files come in. */
@Injectable()
export class UploadLinkRedemptions {
  constructor(
    private readonly links: Links,
    private readonly opening: LinkRedemption,
    private readonly tickets: Tickets,
    private readonly uploads: FileUploads,
    private readonly audit: AuditSink,
  ) {}

  async create(
    caller: Principal,
    limits: Pick<NewLink, 'expiresInMs' | 'maxUses' | 'maxSize' | 'password'>,
  ): Promise<{ readonly row: LinkDoc; readonly token: string }> {
    return auditedAfterLook(this.audit, intent('upload-link.create', caller.actor), (begin) =>
      this.links.create({ kind: 'upload', ownerId: caller.ownerId, ...limits }, begin),
    );
  }

  list(caller: Principal, limit: number, after: Position | undefined): Promise<Page<LinkDoc>> {
    return this.links.list({ dropBoxesOf: caller.ownerId }, limit, after);
  }

  async remove(caller: Principal, linkId: string): Promise<void> {
    const isOwn = (link: LinkDoc): boolean => link.kind === 'upload' && link.owner_id === caller.ownerId;
    await auditedAfterLook(this.audit, intent('upload-link.remove', caller.actor, linkId), (begin) =>
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
   * Takes one file in for one ticket, which an upload that fails gives back. @throws as FileUploads.upload, but never `file_exists`;
   * `conflict` where the ticket has been used.
   */
  async receive(
    sender: LinkHolder,
    request: UploadRequest,
    content: AsyncIterable<ChunkBatch>,
    declaredBytes: number | undefined,
  ): Promise<FileView> {
    const { ticketId } = sender;
    await this.tickets.take(ticketId);
    try {
      return await this.uploads.upload(sender, request, content, declaredBytes);
    } catch (error) {
      await this.tickets.giveBack(ticketId).catch(() => undefined);
      throw error;
    }
  }
}

const intent = (action: AuditAction, actor: string, linkId?: string): AuditIntent => ({
  action,
  actor,
  ...(linkId !== undefined && { resource: `link/${linkId}` }),
});
