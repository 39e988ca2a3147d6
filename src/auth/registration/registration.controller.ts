import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ApiProblems, Policy } from '../../http';
import { EmailConfirmation } from './email-confirmation';
import { Registration } from './registration';
import { RegisterDto, RegisteredDto, VerifiedDto, VerifyRegistrationDto } from './registration.dto';

@ApiTags('Registration')
@Controller()
export class RegistrationController {
  constructor(
    private readonly registration: Registration,
    private readonly confirmation: EmailConfirmation,
  ) {}

  /**
   * Makes an account. With EMAIL_VERIFICATION=required the account comes into being with POST /verify-registration, and the answer is the
   * same whether or not the address has an account already. With REGISTRATION=invite an `invitation` is asked for, with closed nobody can
   * register; the first account of an installation can in any case where BOOTSTRAP_ADMIN is first-user.
   */
  @Post('register')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'register' })
  @ApiProblems('weak_password', 'permission_denied', 'user_exists', 'overloaded')
  async register(@Body() body: RegisterDto): Promise<RegisteredDto> {
    const outcome = await this.registration.register(body);
    return { message: outcome === 'pending' ? 'registration_pending' : 'User registered successfully' };
  }

  /**
   * Confirms one pending registration with the code of its own mail: that of `username`, or without it the newest with the address. Others
   * with the same address are void then. Five wrong codes a registration from the network that registered, five from all others, and thirty
   * a client in ten minutes.
   */
  @Post('verify-registration')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'codes' })
  @ApiProblems('no_pending_registration', 'permission_denied', 'otp_failed', 'user_exists', 'too_many_attempts')
  async verifyRegistration(@Body() body: VerifyRegistrationDto): Promise<VerifiedDto> {
    await this.confirmation.confirm(body);
    return { message: 'registration_success' };
  }
}
