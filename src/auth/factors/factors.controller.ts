import { Body, Controller, Delete, Get, HttpCode, Post, StreamableFile } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiProduces, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CallerPerson, Policy } from '../../http';
import type { Person } from '../../kernel';
import { FactorOverview } from './factor-overview';
import { FactorSettings } from './factor-settings';
import { ConfirmTotpDto, FactorsDto, RecoveryCodesDto, TotpEnrolmentDto } from './factors.dto';

@ApiTags('Two-factor login')
@ApiBearerAuth()
@Controller('2fa')
export class FactorsController {
  constructor(
    private readonly settings: FactorSettings,
    private readonly overview: FactorOverview,
  ) {}

  /** Returns the second factors of the caller's account. */
  @Get()
  @Policy({ scope: 'account' })
  getSecondFactors(@CallerPerson() caller: Person): Promise<FactorsDto> {
    return this.overview.of(caller);
  }

  /**
   * Creates a new secret for an authenticator app. POST /2fa/totp/confirm makes it a factor, within
   * 15 minutes; an existing factor stays valid until then.
   */
  @Post('totp')
  @HttpCode(200)
  @Policy({ scope: 'account', stepUp: true, idempotent: 'secret' })
  beginTotp(@CallerPerson() caller: Person): Promise<TotpEnrolmentDto> {
    return this.settings.beginTotp(caller);
  }

  /**
   * Returns the QR code of the pending secret. It contains the secret, so it requires a fresh
   * login.
   */
  @Get('totp/qr')
  @Policy({ scope: 'account', stepUp: true })
  @ApiProduces('image/png')
  @ApiOkResponse({ description: 'PNG', schema: { type: 'string', format: 'binary' } })
  @ApiProblems('not_found')
  async getTotpQrCode(@CallerPerson() caller: Person): Promise<StreamableFile> {
    const png = await this.settings.totpQrCode(caller);
    return new StreamableFile(png, { type: 'image/png', length: png.length });
  }

  /** Makes the pending secret a factor, with its first code. */
  @Post('totp/confirm')
  @HttpCode(204)
  @Policy({ scope: 'account', rateLimit: 'codes' })
  @ApiProblems('otp_failed', 'not_found', 'too_many_attempts')
  confirmTotp(@CallerPerson() caller: Person, @Body() body: ConfirmTotpDto): Promise<void> {
    return this.settings.confirmTotp(caller, body.otp);
  }

  /** Removes the authenticator app as a factor. */
  @Delete('totp')
  @HttpCode(204)
  @Policy({ scope: 'account', stepUp: true })
  @ApiProblems('not_found')
  removeTotp(@CallerPerson() caller: Person): Promise<void> {
    return this.settings.removeTotp(caller);
  }

  /** Disables codes by e-mail. POST /send-otp and /verify-otp with a bearer token enable them. */
  @Delete('email')
  @HttpCode(204)
  @Policy({ scope: 'account', stepUp: true })
  @ApiProblems('not_found')
  removeEmailFactor(@CallerPerson() caller: Person): Promise<void> {
    return this.settings.removeEmail(caller);
  }

  /** Creates ten new recovery codes and invalidates all former ones. */
  @Post('recovery-codes')
  @HttpCode(200)
  @Policy({ scope: 'account', stepUp: true, idempotent: 'secret' })
  @ApiProblems('conflict')
  async replaceRecoveryCodes(@CallerPerson() caller: Person): Promise<RecoveryCodesDto> {
    return { codes: await this.settings.replaceRecoveryCodes(caller) };
  }
}
