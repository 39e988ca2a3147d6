export { Attempts } from './attempts/attempts';
export { AuthModule } from './auth.module';
export { AbandonedAccounts } from './registration/abandoned-accounts';
export { FactorsUserData } from './owned-factors';
export { SessionsUserData } from './owned-sessions';
