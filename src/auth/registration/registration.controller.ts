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
   * Creates an account. With EMAIL_VERIFICATION=required, POST /verify-registration creates the
   * account, and the response does not reveal whether the address has an account.
   * REGISTRATION=invite requires an `invitation`, and with `closed` nobody can register. The first
   * account of an installation is always permitted if BOOTSTRAP_ADMIN is first-user.
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
   * Confirms one pending registration with the code of its own mail. It is that of `username`, or
   * by default the newest with the address. Other registrations with the address become void.
   * Limits for wrong codes: five for a registration from the network that registered, five from all
   * others, and thirty for a client in ten minutes.
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
