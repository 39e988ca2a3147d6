import 'reflect-metadata';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { Attempts } from './auth';
import { AuditSink, DomainError, Role, StartupError, audited, isoTime } from './kernel';
import { Startup } from './startup';
import { SCHEMA, Store, raiseSchema, replacePeppers } from './store';
import { WrongUsage, runTool } from './tool';
import { UserDoc, Users, parseUsername } from './users';
import { withService } from './with-service';

const HELP = `Usage: coffer-server admin COMMAND   (in a clone: npm run admin -- COMMAND)

  users              lists all accounts by user name, each with id, role, state and the time of its registration
  grant USERNAME     makes an account an administrator
  revoke USERNAME    makes it an ordinary user again
  unlock USERNAME    forgets the wrong passwords and codes that keep an account from logging in, by its user name and its verified address
  replace-pepper     takes PEPPER (and PEPPER_PREVIOUS) of this environment for the installation's, where the former one is lost:
                     passwords that were hashed with it are never right again
  finish-upgrade     takes no older release any more: for when all processes are of this one and nobody wants to go back
                     (docs/upgrading.md)
  --help             shows this

It reads the same environment as the service, which may run meanwhile. A change holds from the next request on.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

const ROLES: Readonly<Record<string, Role>> = { grant: 'administrator', revoke: 'user' };

async function main(args: readonly string[]): Promise<string> {
  if (args.includes('--help') || args.includes('-h')) return HELP;
  if (args.length === 1 && args[0] === 'replace-pepper') return withService(replacePepper, { repair: true });
  if (args.length === 1 && args[0] === 'finish-upgrade') return withService(finishUpgrade);
  if (args.length === 1 && args[0] === 'users') return withService(listUsers);
  const [command = '', name = '', ...rest] = args;
  if (command === 'unlock' && name !== '' && rest.length === 0) return withService((app) => unlock(app, name));
  const role = Object.hasOwn(ROLES, command) ? ROLES[command] : undefined;
  if (role === undefined || name === '' || rest.length > 0) throw new WrongUsage();
  return withService((app) => setRole(app, name, role));
}

async function replacePepper(app: NestFastifyApplication): Promise<string> {
  const checks = await app.get(Startup).pepperChecks();
  const intent = { action: 'pepper.replace', actor: 'system:admin-cli' } as const;
  await audited(app.get(AuditSink), intent, () => replacePeppers(app.get(Store), checks));
  return 'PEPPER of this environment is that of the installation now. Give all processes the same one.\n';
}

async function finishUpgrade(app: NestFastifyApplication): Promise<string> {
  const intent = {
    action: 'upgrade.finish',
    actor: 'system:admin-cli',
    details: { schema: SCHEMA },
  } as const;
  const { lowest_schema } = await audited(app.get(AuditSink), intent, () => raiseSchema(app.get(Store), SCHEMA));
  return `Only releases of schema ${String(lowest_schema)} or later serve this installation now.\n`;
}

/** Written as they are read: an installation may have more accounts than memory should hold. */
async function listUsers(app: NestFastifyApplication): Promise<string> {
  const forged: string[] = [];
  let count = 0;
  for await (const user of app.get(Users, { strict: false }).all((id) => forged.push(id))) {
    count += 1;
    const columns = [user._id, user.username, user.role, user.state, isoTime(user.created_at)];
    if (!process.stdout.write(`${columns.join('  ')}\n`)) await once(process.stdout, 'drain');
  }
  const damaged = forged.map((id) => `The row of ${id} does not hold its seal.\n`);
  return `${damaged.join('')}${count === 1 ? '1 account' : `${count} accounts`}\n`;
}

async function activeUser(app: NestFastifyApplication, name: string): Promise<UserDoc> {
  const username = parseUsername(name);
  const user = username && (await app.get(Users, { strict: false }).byUsername(username));
  if (user?.state !== 'active') throw new StartupError('There is no active account of this name.');
  return user;
}

/** Open sessions keep their own counts: a new login has none. */
async function unlock(app: NestFastifyApplication, name: string): Promise<string> {
  const user = await activeUser(app, name);
  const intent = { action: 'user.unlock', actor: 'system:admin-cli', resource: `user/${user._id}` } as const;
  await audited(app.get(AuditSink), intent, () => app.get(Attempts, { strict: false }).unlock(user));
  return `${user.username} can log in again: wrong passwords and codes are forgotten.\n`;
}

async function setRole(app: NestFastifyApplication, name: string, role: Role): Promise<string> {
  const users = app.get(Users, { strict: false });
  const user = await activeUser(app, name);
  const intent = {
    action: 'user.role',
    actor: 'system:admin-cli',
    resource: `user/${user._id}`,
    details: { role },
  } as const;
  await audited(app.get(AuditSink), intent, async () => {
    const changed = await users.change(user._id, (row) => (row.state === 'active' ? { ...row, role } : undefined));
    if (changed === undefined) throw new DomainError('conflict');
  });
  return `${user.username} is now ${role === 'administrator' ? 'an administrator' : 'an ordinary user'}.\n`;
}

runTool(main, HELP);
