import { type Person, scopesOf } from '../../src/kernel';

/** Somebody with an account and a session of a moment ago. */
export const person = (ownerId: string, more: Partial<Person> = {}): Person => ({
  kind: 'person',
  ownerId,
  actor: ownerId,
  scopes: scopesOf('user'),
  username: ownerId,
  sessionId: `session-of-${ownerId}`,
  authTime: Date.now(),
  requireStillAdmitted: () => Promise.resolve(),
  ...more,
});
