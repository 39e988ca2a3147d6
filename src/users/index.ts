export {
  attempt,
  requireAdmission,
  tooManyAttempts,
  type Admission,
  type Checked,
  type CounterStore,
  type AttemptLimiter,
  type Settlement,
} from './attempts/attempt-limiter';
export { budget, SECOND_FACTOR_LIMITS, type BudgetCounts, type BudgetLimits } from './attempts/budget';
export {
  lockout,
  LOCKOUT_LIMIT,
  LOCKOUT_MS,
  type LockoutCounts,
  lockoutCounts,
  NO_FAILURES,
  withLockoutCounts,
} from './attempts/lockout';
export { within } from './attempts/reservations';
export { Administrators, lastAdministrator } from './administrators';
export { EMAIL_FAULT, parseEmail, requireEmail, type EmailAddress } from './email-address';
export { KeyedMutex } from './keyed-mutex';
export { serviceAccountsCollection, type ServiceAccountDoc } from './service-account.collection';
export { subjectsCollection, type SubjectDoc } from './subject.collection';
export { isRegistered, UNTRIED, usersCollection, type Reservation, type UserDoc } from './user.collection';
export { parseUsername, type Username } from './username';
export { accountOf } from './users.controller';
export { AccountDto } from './users.dto';
export { Users } from './users';
export { UsersModule } from './users.module';
