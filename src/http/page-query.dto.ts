import { Transform } from 'class-transformer';
import { IsInt, IsString, Max, Min } from 'class-validator';
import { MayBeAbsent } from './optional-fields';
import { MaxLength } from './text-length';

export const MAX_LIMIT = 200;
export const DEFAULT_LIMIT = 50;
/** What the routes that answer a plain array give at once where no `limit` is sent. */
export const ARRAY_LIMIT = 1_000;

const MAX_CURSOR_CHARS = 4_096;

/** Digits only: `1e2`, ` 5` and an empty value are no numbers here. */
export const wholeNumber = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;

export class PageQueryDto {
  /**
   * How many items at most, 1 to 200.
   * @example 50
   */
  @MayBeAbsent()
  @Transform(wholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_LIMIT)
  limit?: number;

  /** Where the former page ended, as that answer gave it. Opaque, and good for the same user and query only. */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_CURSOR_CHARS)
  cursor?: string;
}
