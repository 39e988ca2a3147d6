export { Attempts } from './attempts/attempts';
export { AuthModule } from './auth.module';
export { AbandonedAccounts } from './registration/abandoned-accounts';
export { OwnedFactors } from './owned-factors';
export { OwnedSessions } from './owned-sessions';
