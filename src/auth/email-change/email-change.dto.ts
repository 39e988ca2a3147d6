import { IsString } from 'class-validator';
import { MaxLength } from '../../http';

export class ChangeEmailDto {
  /**
   * The new address, or the present one to confirm it.
   * @example "new-address@example.com"
   */
  @IsString()
  @MaxLength(254)
  email!: string;
}

export class ConfirmEmailDto {
  /**
   * The code that was mailed to the new address.
   * @example "123456"
   */
  @IsString()
  @MaxLength(64)
  otp!: string;
}
