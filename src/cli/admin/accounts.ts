import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { OperatorReset } from '../../auth';
import { Role, StartupError, isoTime } from '../../kernel';
import { UserAdministration } from '../../user-administration';
import { UserDoc, Users, parseUsername, isRegistered } from '../../users';
import { withService } from '../app';

const ACTOR = 'system:admin-cli';

/**
 * Writes each account as it is read: an installation may have more accounts than memory should
 * hold.
 */
export function listUsers(): Promise<string> {
  return withService(async (app) => {
    const tampered: string[] = [];
    let count = 0;
    for await (const user of app.get(Users, { strict: false }).all((id) => tampered.push(id))) {
      count += 1;
      const columns = [user._id, user.username, user.role, user.state, isoTime(user.created_at)];
      if (!process.stdout.write(`${columns.join('  ')}\n`)) await once(process.stdout, 'drain');
    }
    const damaged = tampered.map((id) => `The row of ${id} fails MAC verification.\n`);
    return `${damaged.join('')}${count === 1 ? '1 account' : `${count} accounts`}\n`;
  });
}

/** Open sessions keep their own counts: a new login has none. */
export const unlock = (name: string): Promise<string> =>
  act(name, async (accounts, { _id, username }) => {
    await accounts.unlock(ACTOR, _id);
    return `${username} can log in again: wrong passwords and codes are forgotten.`;
  });

export const disable = (name: string): Promise<string> =>
  act(name, async (accounts, { _id, username }) => {
    await accounts.disable(ACTOR, _id);
    return `${username} is disabled, and its sessions have ended.`;
  });

export const enable = (name: string): Promise<string> =>
  act(name, async (accounts, { _id, username }) => {
    await accounts.enable(ACTOR, _id);
    return `${username} can log in again.`;
  });

export const endSessions = (name: string): Promise<string> =>
  act(name, async (accounts, { _id, username }) => {
    await accounts.endSessions(ACTOR, _id);
    return `The sessions of ${username} have ended.`;
  });

const NAMES: Readonly<Record<Role, string>> = {
  user: 'an ordinary user',
  administrator: 'an administrator',
  auditor: 'an auditor',
};

export const setRole = (name: string, role: Role): Promise<string> =>
  act(name, async (accounts, { _id, username }) => {
    await accounts.setRole(ACTOR, _id, role);
    return `${username} is now ${NAMES[role]}.`;
  });

/** The code is printed this once, and is in no log. */
export const reset = (name: string): Promise<string> =>
  act(name, async (_accounts, user, app) => {
    const code = await app.get(OperatorReset, { strict: false }).reset(ACTOR, user);
    return [
      `The password and the second factors of ${user.username} are removed, and its sessions have ended.`,
      'Give this code to its owner by a way that you trust. It is good for an hour and for one use:',
      code,
      `The owner sets a new password with POST /password/reset {"email": "${user.email}", "code": ..., "new_password": ...}.`,
    ].join('\n');
  });

function act(
  name: string,
  work: (accounts: UserAdministration, user: UserDoc, app: NestFastifyApplication) => Promise<string>,
): Promise<string> {
  return withService(async (app) => {
    const username = parseUsername(name);
    const user = username && (await app.get(Users, { strict: false }).byUsername(username));
    if (!isRegistered(user)) {
      throw new StartupError('There is no account of this name.');
    }
    return `${await work(app.get(UserAdministration, { strict: false }), user, app)}\n`;
  });
}
