import { Body, Controller, Headers, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiExtraModels, ApiOkResponse, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { ApiProblems, type AskedCaller, CallerPerson, ClientAddress, OptionalCaller, Policy } from '../../http';
import { DomainError, Person } from '../../kernel';
import { TokenPair } from '../sessions/token-issuer';
import { MessageDto, TokensDto } from '../tokens.dto';
import { EmailEnrolment } from './email-enrolment';
import { FactorRequest } from './mfa-challenges';
import { Login } from './login';
import { FactorRequestDto, LoginDto, SendOtpDto, StepUpDto, VerifyOtpDto } from './login.dto';
import { MfaLogin } from './mfa-login';
import { SessionCodes } from './session-codes';
import { StepUp } from './step-up';

@ApiTags('Login')
@Controller()
export class LoginController {
  constructor(
    private readonly logins: Login,
    private readonly secondStep: MfaLogin,
    private readonly sessionCodes: SessionCodes,
    private readonly enrolment: EmailEnrolment,
    private readonly stepUps: StepUp,
  ) {}

  /**
   * Logs in. If a second factor is enabled, the response holds the input of POST /verify-otp. After
   * five consecutive failures every login is rejected, even with the correct password, for 15
   * minutes from the last failure. Unknown names behave the same.
   */
  @Post('login')
  @HttpCode(200)
  @Policy({ access: 'public', rateLimit: 'login' })
  @ApiExtraModels(TokensDto, FactorRequestDto)
  @ApiOkResponse({ schema: { oneOf: [TokensDto, FactorRequestDto].map((dto) => ({ $ref: getSchemaPath(dto) })) } })
  @ApiProblems('login_failed', 'account_disabled', 'too_many_attempts', 'overloaded')
  login(
    @Body() body: LoginDto,
    @ClientAddress() address: string,
    @Headers('user-agent') userAgent = '',
  ): Promise<TokenPair | FactorRequest> {
    return this.logins.login(body, { address, userAgent });
  }

  /**
   * Mails a code. With `mfa_token`, it is the code of that login, the same one each time. With a
   * bearer token, it is a code of that session: it enables e-mail 2FA if that is disabled (requires
   * a fresh login), and is valid for POST /step-up if it is enabled. At least 60 seconds between
   * mails, at most 10 an hour, 5 of them for one session.
   */
  @Post('send-otp')
  @HttpCode(200)
  @Policy({ access: 'optional', rateLimit: 'codes' })
  @ApiBearerAuth()
  @ApiProblems('invalid_session', 'step_up_required', 'permission_denied', 'too_many_attempts', 'mail_unavailable')
  async sendOtp(@Body() body: SendOtpDto, @OptionalCaller() caller: AskedCaller): Promise<MessageDto> {
    const { username, mfa_token } = body;
    if (mfa_token !== undefined) await this.secondStep.sendCode(mfa_token, username);
    else await this.sessionCodes.send(known(caller(), 'invalid_session'), username);
    return { message: 'OTP sent to your email' };
  }

  /**
   * Verifies a code. With `mfa_token` it completes the login. With a bearer token it enables e-mail
   * 2FA with the code mailed for that purpose, and invalidates the session's former tokens. At most
   * ten failures in 15 minutes: with `mfa_token` across all factors of the account, with a bearer
   * token in that session; five for one mailed code.
   */
  @Post('verify-otp')
  @HttpCode(200)
  @Policy({ access: 'optional', rateLimit: 'codes' })
  @ApiBearerAuth()
  @ApiProblems('otp_failed', 'account_disabled', 'too_many_attempts')
  async verifyOtp(
    @Body() body: VerifyOtpDto,
    @OptionalCaller() caller: AskedCaller,
    @ClientAddress() address: string,
    @Headers('user-agent') userAgent = '',
  ): Promise<TokensDto> {
    const { username, otp, mfa_token } = body;
    return mfa_token === undefined
      ? this.enrolment.verify(known(caller(), 'otp_failed'), username, otp)
      : this.secondStep.verify(mfa_token, username, otp, { address, userAgent });
  }

  /**
   * Authenticates a session's owner again. Routes that respond with 401 `step_up_required` need it.
   * The response replaces the session's tokens and invalidates the former ones. Wrong passwords
   * count by session, five and then 15 minutes; codes count in the account's budget of second
   * factors. A lockout of POST /login does not block it.
   */
  @Post('step-up')
  @HttpCode(200)
  @Policy({ scope: 'account', rateLimit: 'login' })
  @ApiBearerAuth()
  @ApiProblems('login_failed', 'otp_failed', 'too_many_attempts', 'overloaded')
  stepUp(@CallerPerson() caller: Person, @Body() body: StepUpDto): Promise<TokensDto> {
    return this.stepUps.stepUp(caller, { password: body.password, otp: body.otp });
  }
}

/** A code alone never authenticates anybody. */
function known(caller: Person | undefined, refusal: 'invalid_session' | 'otp_failed'): Person {
  if (caller !== undefined) return caller;
  throw new DomainError(refusal, { detail: 'Send the mfa_token from /login, or a bearer token.' });
}
