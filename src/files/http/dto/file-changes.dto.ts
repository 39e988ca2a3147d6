import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsString, Max, Min } from 'class-validator';
import { MayBeAbsent, MayBeNull } from '../../../http';
import type { ErrorCode } from '../../../kernel';
import { VersionView } from '../../operations/file-versions';
import { FileCheck, VersionCheck } from '../../operations/verify-file';
import { MAX_EXPIRY_SECONDS } from '../request/upload-fields';

export class ChangeFileDto {
  /**
   * The new name: 1 to 255 bytes of UTF-8 without `/` and NUL.
   * @example "report-2026.pdf"
   */
  @MayBeAbsent()
  @IsString()
  name?: string;

  /** Seconds from now until the file is gone; null for a file without an end. */
  @ApiProperty({ type: Number, nullable: true, required: false, minimum: 1, example: 86400 })
  @MayBeNull()
  @IsInt()
  @Min(1)
  @Max(MAX_EXPIRY_SECONDS)
  expires_in?: number | null;

  /**
   * Media type to serve the current version with.
   * @example "application/pdf"
   */
  @MayBeAbsent()
  @IsString()
  content_type?: string;
}

export class RestoreFileDto {
  /**
   * In place of the name that the file had.
   */
  @MayBeAbsent()
  @IsString()
  name?: string;
}

/** One version of a file. */
export class FileVersionDto implements VersionView {
  /**
   * Its number: higher than that of all that came before it, though not always by one.
   * @example 2
   */
  version!: number;

  /**
   * Bytes of the content.
   * @example 48213
   */
  size!: number;

  /**
   * Media type.
   * @example "application/pdf"
   */
  content_type!: string;

  /**
   * SHA-256 of the content, lowercase hex.
   * @example "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
   */
  sha256!: string;

  /**
   * When this version came.
   * @example "2026-11-22T10:15:30.000Z"
   */
  created_at!: string;

  /**
   * Bytes of the stored message (`?version=2&encrypted=true`).
   * @example 48607
   */
  encrypted_size!: number;

  /**
   * Whether the client encrypted the content before it sent it.
   * @example false
   */
  client_encrypted!: boolean;

  /**
   * Whether it is what the file is now.
   * @example true
   */
  current!: boolean;
}

export class FileVersionPageDto {
  /** Newest first. */
  items!: FileVersionDto[];

  /** Always null: a file keeps so few versions that they fit on one page. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}

export class VersionCheckDto implements VersionCheck {
  /**
   * Number of the version.
   * @example 2
   */
  version!: number;

  /**
   * Whether each frame and the SHA-256 of the whole are right.
   * @example true
   */
  ok!: boolean;

  /** Why not; only where `ok` is false. */
  @ApiProperty({ type: String, required: false, example: 'decryption_failed' })
  code?: ErrorCode;
}

export class FileCheckDto implements FileCheck {
  /**
   * Whether all versions are whole.
   * @example true
   */
  ok!: boolean;

  /**
   * Bytes of content that were read and verified.
   * @example 96426
   */
  checked_bytes!: number;

  /** Newest first. */
  versions!: VersionCheckDto[];
}
