import { ApiProperty } from '@nestjs/swagger';

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

  /** Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still have one. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}
