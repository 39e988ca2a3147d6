import { SECOND, isoTime } from '../../../kernel/index';
import { LinkDoc, NewLink } from '../../../links/index';
import { DownloadLinkDto, NewUploadLinkDto, UploadLinkDto } from './links.dto';

const viewOf = (link: LinkDoc) => ({
  id: link._id,
  created_at: isoTime(link.created_at),
  expires_at: link.expires_at === undefined ? null : isoTime(link.expires_at),
  has_password: link.hashed_password !== undefined,
});

export const downloadLinkView = (link: LinkDoc): DownloadLinkDto => ({
  ...viewOf(link),
  downloads: link.uses,
  max_downloads: link.max_uses ?? null,
});

export const uploadLinkView = (link: LinkDoc): UploadLinkDto => ({
  ...viewOf(link),
  uploads: link.uses,
  max_uploads: link.max_uses ?? null,
  max_size: link.max_size ?? null,
});

/** What both kinds of links are asked for alike. */
export const limitsOf = ({ expires_in, password }: NewUploadLinkDto): Pick<NewLink, 'expiresInMs' | 'password'> => ({
  expiresInMs: expires_in === undefined ? undefined : expires_in * SECOND,
  password,
});
