import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsString, Max, Min } from 'class-validator';
import { MaxLength, MayBeAbsent, PageQueryDto, wholeNumber } from '../../../http';
import { FileView, ListedFile, MAX_NAME_BYTES } from '../../model/file';
import { MAX_EXPIRY_SECONDS, UploadField } from '../request/upload-fields';

/** More than any file ever has. */
const MAX_VERSION = 999_999_999;

/** A stored file. */
export class FileDto implements FileView {
  /**
   * Opaque id of the file.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * Its name, as it was sent; null for a file whose name was taken when it came: `PATCH` gives it
   * one.
   */
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

  /**
   * SHA-256 of the content, lowercase hex.
   * @example "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
   */
  sha256!: string;

  /**
   * When it was stored.
   * @example "2026-11-22T10:15:30.000Z"
   */
  created_at!: string;

  /** From when on it is gone; null for a file without an end. */
  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  expires_at!: string | null;

  /**
   * Number of the current version, from 1.
   * @example 1
   */
  version!: number;

  /**
   * Bytes of the stored message (`?encrypted=true`).
   * @example 48607
   */
  encrypted_size!: number;

  /**
   * Whether the client encrypted the content before it sent it.
   * @example false
   */
  client_encrypted!: boolean;

  /**
   * What the client keeps beside a content that it encrypted itself: any JSON; null for other
   * files.
   */
  @ApiProperty({ nullable: true, example: null })
  envelope!: unknown;
}

/** The response to the holder of an upload link. */
export class DroppedFileDto {
  /**
   * Bytes that were stored.
   * @example 48213
   */
  size!: number;

  /**
   * SHA-256 of them, lowercase hex.
   * @example "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
   */
  sha256!: string;
}

/** A file in a list. */
export class ListedFileDto extends FileDto implements ListedFile {
  /** Since when it is in the trash; only there. */
  @ApiProperty({ type: String, format: 'date-time', required: false, example: '2026-11-22T10:15:30.000Z' })
  trashed_at?: string;

  /** Until when it may be restored; only in the trash. */
  @ApiProperty({ type: String, format: 'date-time', required: false, example: '2026-12-22T10:15:30.000Z' })
  purge_at?: string;
}

export class FilePageDto {
  /** Oldest first. */
  items!: ListedFileDto[];

  /**
   * Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still
   * have one.
   */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}

export class FileListQueryDto extends PageQueryDto {
  /**
   * Only the file of exactly this name.
   * @example "report.pdf"
   */
  @MayBeAbsent()
  @IsString()
  name?: string;

  /**
   * Only files whose names begin so.
   * @example "report-"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_NAME_BYTES)
  prefix?: string;

  /**
   * `true` for the files of others that were granted to the caller. Not together with `name`,
   * `prefix` or `trash`.
   * @example "false"
   */
  @MayBeAbsent()
  @IsIn(['true', 'false'])
  shared?: 'true' | 'false';

  /**
   * `true` for the files in the trash.
   * @example "false"
   */
  @MayBeAbsent()
  @IsIn(['true', 'false'])
  trash?: 'true' | 'false';
}

export class RemovalQueryDto {
  /**
   * `true` removes the file for good, be it in the trash or not; without it what is in the trash
   * stays there.
   * @example "false"
   */
  @MayBeAbsent()
  @IsIn(['true', 'false'])
  permanent?: 'true' | 'false';
}

export class VersionQueryDto {
  /**
   * Number of the version, from 1; the current one where it is not given. Earlier ones are for the
   * owner alone.
   * @example 1
   */
  @MayBeAbsent()
  @Transform(wholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_VERSION)
  version?: number;
}

export class ContentQueryDto extends VersionQueryDto {
  /**
   * `true` gives the stored message (AWS Encryption SDK format) instead of the content.
   * @example "true"
   */
  @MayBeAbsent()
  @IsIn(['true', 'false'])
  encrypted?: 'true' | 'false';
}

/** The fields of a raw content; in a form they are fields before the part `file`. */
export class ContentFieldsDto implements Partial<Record<Exclude<UploadField, 'name'>, string>> {
  /**
   * Seconds until the file is gone.
   */
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_EXPIRY_SECONDS, required: false })
  @MayBeAbsent()
  @IsString()
  expires_in?: string;

  /**
   * Media type to serve it with; `application/octet-stream` unless it is given.
   * @example "application/pdf"
   */
  @MayBeAbsent()
  @IsString()
  content_type?: string;

  /**
   * The SHA-256 that the content must have, 64 hex digits.
   * @example "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
   */
  @MayBeAbsent()
  @IsString()
  sha256?: string;

  /**
   * `true` where the client has encrypted the content.
   */
  @ApiProperty({ enum: ['true', 'false'], required: false })
  @MayBeAbsent()
  @IsString()
  client_encrypted?: string;

  /** JSON of up to 16 KiB that is kept, sealed, beside a content that the client encrypted. */
  @MayBeAbsent()
  @IsString()
  envelope?: string;
}

/** The fields of a raw upload. */
export class UploadQueryDto extends ContentFieldsDto implements Partial<Record<UploadField, string>> {
  /**
   * The file's name: 1 to 255 bytes of UTF-8 without `/` and NUL. Needed for a raw body.
   * @example "report.pdf"
   */
  @MayBeAbsent()
  @IsString()
  name?: string;
}

/**
 * What an AWS Encryption SDK raw AES keyring needs to open the stored message of a version of the
 * file.
 */
@ApiSchema({ name: 'FileKey' })
export class FileKeyDto {
  /**
   * Key namespace (provider id).
   * @example "coffer"
   */
  namespace!: string;

  /**
   * Key name.
   * @example "file/019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f/1"
   */
  key_name!: string;

  /**
   * The AES-256 key, lowercase hex. It opens this version of this file and nothing else.
   * @example "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
   */
  key!: string;
}

export class ReceivedGrantDto {
  /**
   * Opaque id of the grant.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * Opaque id of the file.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e50"
   */
  file_id!: string;

  /** The file's name; null where it has none or the stored one does not open. */
  @ApiProperty({ type: String, nullable: true, example: 'report.pdf' })
  name!: string | null;

  /**
   * User name of the file's owner.
   * @example "maria"
   */
  owner!: string;

  /** When the grant ends by itself; null for never. */
  @ApiProperty({ type: String, nullable: true, example: null })
  expires_at!: string | null;
}

export class ReceivedGrantPageDto {
  /** Oldest first. */
  items!: ReceivedGrantDto[];

  /**
   * Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still
   * have one.
   */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}
