export { parseEmail, type EmailAddress } from './email-address';
export { OneAtATime } from './one-at-a-time';
export { usersCollection, type Reservation, type UserDoc } from './user.collection';
export { parseUsername, type Username } from './username';
export { Users } from './users';
export { UsersModule } from './users.module';
