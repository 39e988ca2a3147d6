import { IsIn, IsString, Matches } from 'class-validator';
import { MayBeAbsent, PageQueryDto } from '../http';
import { DATA_TYPE_PATTERN, RecordView, View } from './sensitive-data';

const DATA_TYPE_RULE = 'data_type must start with a letter a-z and have up to 64 of a-z, 0-9, "_", "." and "-"';

export class WriteSensitiveDataDto {
  /**
   * Type of the value: 1 to 64 characters of a-z, 0-9, `_`, `.` and `-`, starting with a letter. A
   * `card_number` must have 16 digits.
   * @example "card_number"
   */
  @IsString()
  @Matches(DATA_TYPE_PATTERN, { message: DATA_TYPE_RULE })
  data_type!: string;

  /**
   * The value to encrypt: 1 byte to 256 KiB of UTF-8, returned exactly as sent.
   * @example "4111111111111111"
   */
  @IsString()
  value!: string;
}

export class SensitiveDataDto implements RecordView {
  /**
   * Opaque id of the record.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * Type of the value.
   * @example "card_number"
   */
  data_type!: string;

  /**
   * The value. With `view=masked`, `************1234` for a card number and `****` for all other
   * types.
   * @example "4111111111111111"
   */
  value!: string;
}

export class SensitiveDataQueryDto {
  /**
   * `masked` hides the value; `clear`, the default, shows it.
   * @example "masked"
   */
  @MayBeAbsent()
  @IsIn(['clear', 'masked'])
  view?: View;
}

export class SensitiveDataListQueryDto extends PageQueryDto {
  /**
   * Only records of this type.
   * @example "card_number"
   */
  @MayBeAbsent()
  @IsString()
  @Matches(DATA_TYPE_PATTERN, { message: DATA_TYPE_RULE })
  data_type?: string;

  /**
   * `masked` hides the values; `clear`, the default, shows them.
   * @example "masked"
   */
  @MayBeAbsent()
  @IsIn(['clear', 'masked'])
  view?: View;
}

export class SensitiveDataDeletedDto {
  /**
   * Confirms that the record is deleted.
   * @example "Data deleted successfully"
   */
  message!: string;
}
