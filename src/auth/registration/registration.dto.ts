import { IsString } from 'class-validator';
import { MaxLength, MayBeAbsent } from '../../http';

export class RegisterDto {
  /**
   * 3 to 64 of a-z, 0-9, `.`, `_` and `-`, starting with a letter or a digit. Upper case is taken as lower case.
   * @example "testuser"
   */
  @IsString()
  username!: string;

  /**
   * Where codes and notices go.
   * @example "test@example.com"
   */
  @IsString()
  email!: string;

  /**
   * At least 8 characters with an uppercase letter, a digit and a special character, at most 1,024 bytes, and none of those that are guessed
   * first. Taken exactly as sent. With PASSWORD_RULE=length instead: at least 15 characters of any kind.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  password!: string;

  /**
   * The code of an invitation, as it was mailed. It proves the address, so the account is there at once.
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(128)
  invitation?: string;
}

export class RegisteredDto {
  /**
   * `User registered successfully`, or `registration_pending` where the address has to be confirmed first.
   * @example "User registered successfully"
   */
  message!: string;
}

export class VerifyRegistrationDto {
  /**
   * The user name of the registration. Without it the newest one with the address is meant, which may be somebody else's.
   * @example "testuser"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(64)
  username?: string;

  /**
   * The address of the registration.
   * @example "test@example.com"
   */
  @IsString()
  email!: string;

  /**
   * The code that was mailed to it.
   * @example "123456"
   */
  @IsString()
  @MaxLength(64)
  otp!: string;
}

export class VerifiedDto {
  /**
   * Says that the account is there now.
   * @example "registration_success"
   */
  message!: 'registration_success';
}
