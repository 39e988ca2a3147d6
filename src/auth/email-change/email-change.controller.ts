import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, Policy } from '../../http';
import type { Person } from '../../kernel';
import { MessageDto } from '../tokens.dto';
import { EmailChange } from './email-change';
import { ChangeEmailDto, ConfirmEmailDto } from './email-change.dto';

@ApiTags('Account')
@ApiBearerAuth()
@Controller('email')
export class EmailChangeController {
  constructor(private readonly changes: EmailChange) {}

  /**
   * Mails a code to a new address of the caller's account; POST /email/confirm takes it. Until then
   * nothing changes. The answer is the same for an address that another account has confirmed. Also
   * confirms the present address, for accounts that never did.
   */
  @Post('change')
  @HttpCode(200)
  @Policy({ scope: 'account', stepUp: true, rateLimit: 'codes' })
  @ApiProblems('too_many_attempts', 'mail_unavailable')
  async changeEmail(@CallerPerson() caller: Person, @Body() { email }: ChangeEmailDto): Promise<MessageDto> {
    await this.changes.ask(caller, email);
    return { message: 'A code was sent to the new address' };
  }

  /**
   * Makes the new address that of the account, with the code that this session asked for. The
   * former address is told. Five wrong codes void the code, ten in 15 minutes stop the session.
   */
  @Post('confirm')
  @HttpCode(204)
  @Policy({ scope: 'account', rateLimit: 'codes' })
  @ApiProblems('otp_failed', 'too_many_attempts')
  confirmEmail(@CallerPerson() caller: Person, @Body() { otp }: ConfirmEmailDto): Promise<void> {
    return this.changes.confirm(caller, otp);
  }
}
