export { Attempts } from './attempts/attempts';
export { AuthModule } from './auth.module';
export { AbandonedAccounts } from './registration/abandoned-accounts';
export { FactorsUserData } from './factors-user-data';
export { SessionsUserData } from './sessions-user-data';
export { OperatorReset } from './password/operator-reset';
export { AccessRevocation } from './sessions/access-revocation';
