import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, Policy } from '../../http';
import type { Person } from '../../kernel';
import { MessageDto } from '../tokens.dto';
import { ForgottenPasswords } from './forgotten-passwords';
import { PasswordChange } from './password-change';
import { PasswordReset } from './password-reset';
import { ChangePasswordDto, ForgotPasswordDto, ResetPasswordDto } from './passwords.dto';

@ApiTags('Account')
@Controller('password')
export class PasswordsController {
  constructor(
    private readonly changes: PasswordChange,
    private readonly forgotten: ForgottenPasswords,
    private readonly resets: PasswordReset,
  ) {}

  /**
   * Changes the caller's password. All other sessions end; the one that asks goes on. A wrong
   * current password counts by session, as at POST /step-up. The owner is told by mail.
   */
  @Post('change')
  @HttpCode(204)
  @Policy({ scope: 'account', stepUp: true, rateLimit: 'login' })
  @ApiBearerAuth()
  @ApiProblems('weak_password', 'login_failed', 'conflict', 'too_many_attempts', 'overloaded')
  changePassword(@CallerPerson() caller: Person, @Body() body: ChangePasswordDto): Promise<void> {
    return this.changes.change(caller, { current: body.current_password, next: body.new_password });
  }

  /**
   * Mails a code for POST /password/reset, if the address is the confirmed one of an active
   * account. The answer and its time are the same for any other address. One mail a minute; asked
   * for again, the same code comes again while it is good.
   */
  @Post('forgot')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'codes' })
  async forgotPassword(@Body() body: ForgotPasswordDto): Promise<MessageDto> {
    await this.forgotten.ask(body.email);
    return { message: 'If the address belongs to an account, a code was sent to it' };
  }

  /**
   * Sets a new password with the mailed code, which is good for 10 minutes and once. Where a second
   * factor is on, `otp` is asked for too: a code of the authenticator app or a recovery code. Where
   * e-mail is the only factor it has to be a recovery code. All sessions end.
   */
  @Post('reset')
  @HttpCode(204)
  @Policy({ access: 'public', rateLimit: 'login' })
  @ApiProblems('weak_password', 'otp_failed', 'too_many_attempts', 'overloaded')
  resetPassword(@Body() { email, code, new_password, otp }: ResetPasswordDto): Promise<void> {
    return this.resets.reset({ email, code, newPassword: new_password, otp });
  }
}
