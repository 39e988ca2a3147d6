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

  /** Which second factors the caller's account has. */
  @Get()
  @Policy({ scope: 'account' })
  getSecondFactors(@CallerPerson() caller: Person): Promise<FactorsDto> {
    return this.overview.of(caller);
  }

  /**
   * A new secret for an authenticator app. It becomes a factor with POST /2fa/totp/confirm, within 15 minutes; a former one holds until then.
   */
  @Post('totp')
  @HttpCode(200)
  @Policy({ scope: 'account', stepUp: true, idempotent: 'secret' })
  beginTotp(@CallerPerson() caller: Person): Promise<TotpEnrolmentDto> {
    return this.settings.beginTotp(caller);
  }

  /** The QR code of the secret that waits for its first code. It shows the secret, so it asks for a fresh proof. */
  @Get('totp/qr')
  @Policy({ scope: 'account', stepUp: true })
  @ApiProduces('image/png')
  @ApiOkResponse({ description: 'PNG', schema: { type: 'string', format: 'binary' } })
  @ApiProblems('not_found')
  async getTotpQrCode(@CallerPerson() caller: Person): Promise<StreamableFile> {
    const png = await this.settings.totpQrCode(caller);
    return new StreamableFile(png, { type: 'image/png', length: png.length });
  }

  /** Makes the waiting secret a factor, by the first code of it. */
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

  /** Turns codes by e-mail off. POST /send-otp and /verify-otp with a bearer token turn them on. */
  @Delete('email')
  @HttpCode(204)
  @Policy({ scope: 'account', stepUp: true })
  @ApiProblems('not_found')
  removeEmailFactor(@CallerPerson() caller: Person): Promise<void> {
    return this.settings.removeEmail(caller);
  }

  /** Ten new recovery codes in place of all former ones. */
  @Post('recovery-codes')
  @HttpCode(200)
  @Policy({ scope: 'account', stepUp: true, idempotent: 'secret' })
  @ApiProblems('conflict')
  async replaceRecoveryCodes(@CallerPerson() caller: Person): Promise<RecoveryCodesDto> {
    return { codes: await this.settings.replaceRecoveryCodes(caller) };
  }
}
