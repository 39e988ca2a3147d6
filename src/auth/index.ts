export { AuthModule } from './auth.module';
export { OwnedFactors } from './owned-factors';
export { OwnedSessions } from './owned-sessions';
