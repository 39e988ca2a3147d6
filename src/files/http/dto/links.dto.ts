import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsString, Max, Min } from 'class-validator';
import { MaxLength, MayBeAbsent, MinLength } from '../../../http';
import { SECOND, isoTime } from '../../../kernel';
import { LinkDoc, NewLink } from '../../../links';

/** A hundred years, as for files. */
const MAX_EXPIRY_SECONDS = 100 * 365 * 24 * 3600;
const MAX_USES = 1_000_000;
const MAX_TOKEN_CHARS = 256;
const MAX_PASSWORD_CHARS = 1024;

class NewLinkDto {
  /**
   * Seconds until the link ends; without it it ends when it is removed.
   * @example 86400
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_EXPIRY_SECONDS)
  expires_in?: number;

  /**
   * What the link asks for besides its secret: 1 to 1,024 bytes. Tell it on another way than the
   * link.
   */
  @MayBeAbsent()
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_PASSWORD_CHARS)
  password?: string;
}

export class NewDownloadLinkDto extends NewLinkDto {
  /**
   * How often the link may be opened; without it as often as somebody likes.
   * @example 10
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_USES)
  max_downloads?: number;
}

export class NewUploadLinkDto extends NewLinkDto {
  /**
   * How many files may come; without it as many as the owner's quota has room for.
   * @example 1
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_USES)
  max_uploads?: number;

  /**
   * Bytes that each of them may have.
   * @example 10485760
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  max_size?: number;
}

/**
 * The link itself, shown this once: its secret stands behind the `#`, which no browser sends to a
 * server.
 */
export class CreatedLinkDto {
  /**
   * Opaque id, to end the link by.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * What to hand on.
   * @example "https://vault.example.org/l#d.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.QbCjYbNJXcVnlk5sSlg4WyVYBqHTpSk3d3aZg1Ssx1o"
   */
  url!: string;
}

class LinkDto {
  /**
   * Opaque id, to end the link by.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * When it was made.
   * @example "2026-11-22T10:15:30.000Z"
   */
  created_at!: string;

  /** When it ends; null where nobody said. */
  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  expires_at!: string | null;

  /**
   * Whether it asks for a password.
   * @example false
   */
  has_password!: boolean;
}

export class DownloadLinkDto extends LinkDto {
  /**
   * How often it was opened.
   * @example 3
   */
  downloads!: number;

  /** How often it may be; null without a limit. */
  @ApiProperty({ type: Number, nullable: true, example: 10 })
  max_downloads!: number | null;
}

export class UploadLinkDto extends LinkDto {
  /**
   * How often it was opened.
   * @example 1
   */
  uploads!: number;

  /** How often it may be; null without a limit. */
  @ApiProperty({ type: Number, nullable: true, example: 1 })
  max_uploads!: number | null;

  /** Bytes that one file may have; null without a limit of the link's own. */
  @ApiProperty({ type: Number, nullable: true, example: null })
  max_size!: number | null;
}

export class DownloadLinkPageDto {
  /** Oldest first. */
  items!: DownloadLinkDto[];

  /** Where to go on; null at the end. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}

export class UploadLinkPageDto {
  /** Oldest first. */
  items!: UploadLinkDto[];

  /** Where to go on; null at the end. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}

export class OpenLinkDto {
  /**
   * What stands behind the `#` of the link.
   * @example "d.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.QbCjYbNJXcVnlk5sSlg4WyVYBqHTpSk3d3aZg1Ssx1o"
   */
  @IsString()
  @MaxLength(MAX_TOKEN_CHARS)
  token!: string;

  /**
   * The link's password, where it has one.
   * @example "correct horse battery staple"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_PASSWORD_CHARS)
  password?: string;
}

class TicketDto {
  /**
   * Sent as `Authorization: Bearer`.
   * @example "dt.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.QbCjYbNJXcVnlk5sSlg4WyVYBqHTpSk3d3aZg1Ssx1o"
   */
  ticket!: string;

  /**
   * Seconds that it lasts, if it is not used.
   * @example 300
   */
  expires_in!: number;
}

/** Good for GET and HEAD of its `url`, also as the cookie `coffer-ticket` that this answer sets. */
export class DownloadTicketDto extends TicketDto {
  /**
   * Names the ticket in URLs. It is no secret.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  ticket_id!: string;

  /**
   * Where the content is.
   * @example "https://vault.example.org/links/content/019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  url!: string;

  /** The file's name; null for one without. */
  @ApiProperty({ type: String, nullable: true, example: 'report.pdf' })
  name!: string | null;

  /**
   * Bytes of the content.
   * @example 48213
   */
  size!: number;

  /**
   * Media type, as the upload said it.
   * @example "application/pdf"
   */
  content_type!: string;
}

/** Good for one POST /files. */
export class UploadTicketDto extends TicketDto {
  /** Bytes that the file may have; null without a limit of the link's own. */
  @ApiProperty({ type: Number, nullable: true, example: null })
  max_size!: number | null;
}

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
