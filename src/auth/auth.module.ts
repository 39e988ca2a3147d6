import { Global, Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { CONFIG, Config } from '../config';
import { hmacKeyObject, PASSWORD_COSTS, PasswordHasher } from '../crypto';
import { SessionAuthenticator } from '../kernel';
import { MailModule } from '../mail';
import { Metrics } from '../observability';
import { UsersModule } from '../users';
import { Attempts } from './attempts/attempts';
import { SessionAttempts } from './attempts/session-attempts';
import { Challenges } from './factors/challenges';
import { EmailCodes } from './factors/email-codes';
import { EnrolmentProof } from './factors/enrolment-proof';
import { FactorNotices } from './factors/factor-notices';
import { FactorOverview } from './factors/factor-overview';
import { MfaVerification } from './factors/mfa-verification';
import { FactorSettings } from './factors/factor-settings';
import { FactorsController } from './factors/factors.controller';
import { EmailFactor } from './factors/email-factor';
import { RecoveryCodes } from './factors/recovery-codes';
import { SecondFactor } from './factors/second-factor';
import { TotpFactor } from './factors/totp-factor';
import { EmailEnrolment } from './login/email-enrolment';
import { MfaChallenges } from './login/mfa-challenges';
import { EmailChange } from './email-change/email-change';
import { EmailChangeController } from './email-change/email-change.controller';
import { Login } from './login/login';
import { LoginController } from './login/login.controller';
import { PasswordCheck } from './login/password-check';
import { MfaLogin } from './login/mfa-login';
import { SessionCodes } from './login/session-codes';
import { SessionMail } from './login/session-mail';
import { StepUp } from './login/step-up';
import { InvitationMails } from './invitations/invitation-mails';
import { Invitations } from './invitations/invitations';
import { InvitationsController } from './invitations/invitations.controller';
import { Inviting } from './invitations/inviting';
import { AddressMails } from './mails/address-mails';
import { FactorsUserData } from './factors-user-data';
import { SessionsUserData } from './sessions-user-data';
import { ForgottenPasswords } from './password/forgotten-passwords';
import { OperatorReset } from './password/operator-reset';
import { PasswordChange } from './password/password-change';
import { PasswordReplacement } from './password/password-replacement';
import { PasswordReset } from './password/password-reset';
import { PasswordResetCodes } from './password/password-reset-codes';
import { PasswordsController } from './password/passwords.controller';
import { ResetProof } from './password/reset-proof';
import { Passwords } from './passwords';
import { AbandonedAccounts } from './registration/abandoned-accounts';
import { AccountCreation } from './registration/account-creation';
import { Admissions } from './registration/admissions';
import { ConfirmingClients } from './registration/confirming-clients';
import { EmailConfirmation } from './registration/email-confirmation';
import { PendingRegistrations } from './registration/pending-registrations';
import { NewAccounts } from './registration/new-accounts';
import { RegistrationMails } from './registration/registration-mails';
import { RequestedConfirmations } from './registration/requested-confirmations';
import { Registration } from './registration/registration';
import { RegistrationController } from './registration/registration.controller';
import { AccessRevocation } from './sessions/access-revocation';
import { AccessTokens } from './sessions/access-tokens';
import { BearerAuthenticator } from './sessions/bearer-authenticator';
import { BearerStrategy } from './sessions/bearer.strategy';
import { RefreshTokens } from './sessions/refresh-tokens';
import { SessionManagement } from './sessions/session-management';
import { Sessions } from './sessions/sessions';
import { SessionsController } from './sessions/sessions.controller';
import { TokenIssuer } from './sessions/token-issuer';

/** One instance for the process; otherwise its limit of concurrent hashes has no effect. */
const hasher = {
  provide: PasswordHasher,
  inject: [CONFIG, Metrics],
  useFactory: ({ passwords, threads }: Config, metrics: Metrics) => {
    const made = new PasswordHasher({
      ...passwords,
      cost: PASSWORD_COSTS[passwords.cost],
      concurrency: threads.hashing,
    });
    metrics.watchPasswordQueue(() => made.waiting);
    return made;
  },
};

const signing = JwtModule.registerAsync({
  inject: [CONFIG],
  useFactory: ({ tokens }: Config) => ({ secret: hmacKeyObject(tokens.jwtSecret) }),
});

const attempts = [Attempts, SessionAttempts, Passwords, PasswordCheck];
const registration = [
  AbandonedAccounts,
  AccountCreation,
  EmailConfirmation,
  PendingRegistrations,
  Admissions,
  ConfirmingClients,
  InvitationMails,
  Invitations,
  Inviting,
  NewAccounts,
  RegistrationMails,
  RequestedConfirmations,
  Registration,
];
const sessions = [
  AccessRevocation,
  AccessTokens,
  BearerStrategy,
  RefreshTokens,
  SessionManagement,
  Sessions,
  TokenIssuer,
];
const password = [
  OperatorReset,
  EmailChange,
  ForgottenPasswords,
  PasswordChange,
  PasswordReplacement,
  PasswordReset,
  PasswordResetCodes,
  ResetProof,
];
const factors = [
  AddressMails,
  Challenges,
  EmailCodes,
  EnrolmentProof,
  FactorNotices,
  FactorOverview,
  MfaVerification,
  FactorSettings,
  EmailFactor,
  RecoveryCodes,
  SecondFactor,
  TotpFactor,
];
const login = [EmailEnrolment, MfaChallenges, Login, MfaLogin, SessionCodes, SessionMail, StepUp];

/**
 * Global, because the request guard in http/ needs the SessionAuthenticator, and the process has
 * only one PasswordHasher.
 */
@Global()
@Module({
  imports: [UsersModule, MailModule, signing],
  controllers: [
    RegistrationController,
    InvitationsController,
    LoginController,
    SessionsController,
    FactorsController,
    PasswordsController,
    EmailChangeController,
  ],
  providers: [
    hasher,
    ...attempts,
    ...registration,
    ...sessions,
    ...factors,
    ...login,
    ...password,
    SessionsUserData,
    FactorsUserData,
    { provide: SessionAuthenticator, useClass: BearerAuthenticator },
  ],
  exports: [
    AccessRevocation,
    Attempts,
    OperatorReset,
    AbandonedAccounts,
    SessionAuthenticator,
    PasswordHasher,
    SessionsUserData,
    FactorsUserData,
  ],
})
export class AuthModule {}
