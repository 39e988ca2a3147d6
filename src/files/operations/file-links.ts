import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditIntent,
  AuditSink,
  Principal,
  audited,
  auditedAfterLook,
  notedIfRefused,
} from '../../kernel/index';
import { LinkDoc, LinkRedemption, Links, NewLink, NewTicket, Tickets } from '../../links/index';
import { Page, Position } from '../../store/index';
import { FileAccess } from './access';
import { FileView } from '../model/file-view';
import { FilesService, ServedContent } from './get-file';

export interface OpenedLink extends NewTicket {
  readonly file: FileView;
}

/** Links to files: made by their owners, opened and used by whoever has them. */
@Injectable()
export class FileLinks {
  constructor(
    private readonly access: FileAccess,
    private readonly files: FilesService,
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
      // A file that went meanwhile may have forgotten its links before this one came.
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

  /** @throws as LinkRedemption.open; `file_not_found` where the file is gone: then nothing is spent. */
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

  /** What a ticket shows: the file as it is now. @throws as Tickets.download; `file_not_found`. */
  async content(ticketId: string, ticket: string): Promise<ServedContent> {
    const { link, row } = await notedIfRefused(this.audit, { action: 'file.download', actor: ANYBODY }, async () => {
      const found = await this.tickets.download(ticketId, ticket);
      return { link: found, row: await this.access.linked(found.resource ?? '', found.owner_id) };
    });
    return this.files.contentOf(row, { actor: ANYBODY, details: { link: link._id } }, 'clear');
  }

  /** Keeps a ticket good while its content is sent, until the returned function is called. */
  keepTicket(ticketId: string): () => void {
    return this.tickets.keepAlive(ticketId);
  }
}

/** Whoever has the link: the log knows no more. */
const ANYBODY = 'anonymous';

/** Whoever opens a link may be a stranger who guesses: a flood of refusals is counted. */
export const openingIntent = (action: AuditAction, linkId: string | undefined): AuditIntent => ({
  action,
  actor: ANYBODY,
  ...(linkId !== undefined && { resource: `link/${linkId}` }),
  gathers: true,
});

const intent = (action: AuditAction, actor: string, resource: string): AuditIntent => ({ action, actor, resource });
