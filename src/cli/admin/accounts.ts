import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { Attempts } from '../../auth';
import { AuditSink, DomainError, Role, StartupError, audited, isoTime } from '../../kernel';
import { UserDoc, Users, parseUsername } from '../../users';
import { withService } from '../app';

/** Writes each account as it is read: an installation may have more accounts than memory should hold. */
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
export function unlock(username: string): Promise<string> {
  return withService(async (app) => {
    const user = await activeUser(app, username);
    const intent = { action: 'user.unlock', actor: 'system:admin-cli', resource: `user/${user._id}` } as const;
    await audited(app.get(AuditSink), intent, () => app.get(Attempts, { strict: false }).unlock(user));
    return `${user.username} can log in again: wrong passwords and codes are forgotten.\n`;
  });
}

export function setRole(username: string, role: Role): Promise<string> {
  return withService(async (app) => {
    const user = await activeUser(app, username);
    const intent = {
      action: 'user.role',
      actor: 'system:admin-cli',
      resource: `user/${user._id}`,
      details: { role },
    } as const;
    const users = app.get(Users, { strict: false });
    await audited(app.get(AuditSink), intent, async () => {
      const changed = await users.change(user._id, (row) => (row.state === 'active' ? { ...row, role } : undefined));
      if (changed === undefined) throw new DomainError('conflict');
    });
    return `${user.username} is now ${role === 'administrator' ? 'an administrator' : 'an ordinary user'}.\n`;
  });
}

async function activeUser(app: NestFastifyApplication, name: string): Promise<UserDoc> {
  const username = parseUsername(name);
  const user = username && (await app.get(Users, { strict: false }).byUsername(username));
  if (user?.state !== 'active') throw new StartupError('There is no active account of this name.');
  return user;
}
