import { Transform } from 'class-transformer';
import { IsInt, IsString, Max, Min } from 'class-validator';
import { MayBeAbsent } from './optional-fields';
import { MaxLength } from './text-length';

export const MAX_LIMIT = 200;
export const DEFAULT_LIMIT = 50;
/** Page size of routes that return a plain array, without `limit`. */
export const ARRAY_LIMIT = 1_000;

const MAX_CURSOR_CHARS = 4_096;

/** Digits only: `1e2`, ` 5` and an empty value are not numbers. */
export const wholeNumber = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;

export class PageQueryDto {
  /**
   * Maximum number of items, 1 to 200.
   * @example 50
   */
  @MayBeAbsent()
  @Transform(wholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_LIMIT)
  limit?: number;

  /** Cursor from the previous page. Opaque, and valid only for the same user and query. */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_CURSOR_CHARS)
  cursor?: string;
}
