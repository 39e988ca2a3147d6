import { type Command, type Work, WrongUsage } from './run';

const HELP = `Usage: coffer-server admin COMMAND   (in a clone: npm run admin -- COMMAND)

  users              lists all accounts by user name, each with id, role, state and the time of its registration
  list               the same as users
  grant USERNAME     makes an account an administrator
  revoke USERNAME    makes it an ordinary user again
  role USERNAME ROLE
                     gives an account a role: user, administrator or auditor
  disable USERNAME   keeps an account from logging in and ends its sessions; its grants and links rest
  enable USERNAME    lets it log in again
  end-sessions USERNAME
                     ends all sessions of an account
  reset USERNAME     for an owner who lost the password, or all factors: removes the password and all second factors, ends all sessions,
                     and prints a code that sets a new password within an hour (POST /password/reset, with the account's address)
  unlock USERNAME    forgets the wrong passwords and codes that keep an account from logging in, by its user name and its verified address
  replace-pepper     takes PEPPER (and PEPPER_PREVIOUS) of this environment for the installation's, where the former one is lost:
                     passwords that were hashed with it are never right again
  finish-upgrade     takes no older release any more: for when all processes are of this one and nobody wants to go back
                     (docs/upgrading.md)
  --help             shows this

It reads the same environment as the service, which may run meanwhile. A change holds from the next request on. The last administrator is neither revoked nor
disabled.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

export const admin: Command = { help: HELP, parse };

const accounts = () => import('./admin/accounts.js');
const installation = () => import('./admin/installation.js');

const ROLES = ['user', 'administrator', 'auditor'] as const;

const OF_INSTALLATION: ReadonlyMap<string, Work> = new Map([
  ['users', async () => (await accounts()).listUsers()],
  ['list', async () => (await accounts()).listUsers()],
  ['replace-pepper', async () => (await installation()).replacePepper()],
  ['finish-upgrade', async () => (await installation()).finishUpgrade()],
]);

const OF_ACCOUNT: ReadonlyMap<string, (username: string) => Promise<string>> = new Map([
  ['grant', async (username) => (await accounts()).setRole(username, 'administrator')],
  ['revoke', async (username) => (await accounts()).setRole(username, 'user')],
  ['unlock', async (username) => (await accounts()).unlock(username)],
  ['disable', async (username) => (await accounts()).disable(username)],
  ['enable', async (username) => (await accounts()).enable(username)],
  ['end-sessions', async (username) => (await accounts()).endSessions(username)],
  ['reset', async (username) => (await accounts()).reset(username)],
]);

function parse([command = '', ...rest]: readonly string[]): Work {
  const ofInstallation = OF_INSTALLATION.get(command);
  if (ofInstallation !== undefined && rest.length === 0) return ofInstallation;
  const [username = '', role] = rest;
  if (command === 'role' && username !== '' && rest.length === 2) return withRole(username, role);
  const ofAccount = OF_ACCOUNT.get(command);
  if (ofAccount === undefined || username === '' || rest.length > 1) throw new WrongUsage();
  return () => ofAccount(username);
}

function withRole(username: string, text: string | undefined): Work {
  const role = ROLES.find((known) => known === text);
  if (role === undefined) throw new WrongUsage();
  return async () => (await accounts()).setRole(username, role);
}
