import { type Command, type Work, WrongUsage } from './run';

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

export const admin: Command = { help: HELP, parse };

const accounts = () => import('./admin/accounts.js');
const installation = () => import('./admin/installation.js');

const OF_INSTALLATION: ReadonlyMap<string, Work> = new Map([
  ['users', async () => (await accounts()).listUsers()],
  ['replace-pepper', async () => (await installation()).replacePepper()],
  ['finish-upgrade', async () => (await installation()).finishUpgrade()],
]);

const OF_ACCOUNT: ReadonlyMap<string, (username: string) => Promise<string>> = new Map([
  ['grant', async (username) => (await accounts()).setRole(username, 'administrator')],
  ['revoke', async (username) => (await accounts()).setRole(username, 'user')],
  ['unlock', async (username) => (await accounts()).unlock(username)],
]);

function parse([command = '', ...rest]: readonly string[]): Work {
  const ofInstallation = OF_INSTALLATION.get(command);
  if (ofInstallation !== undefined && rest.length === 0) return ofInstallation;
  const [username = ''] = rest;
  const ofAccount = OF_ACCOUNT.get(command);
  if (ofAccount === undefined || username === '' || rest.length > 1) throw new WrongUsage();
  return () => ofAccount(username);
}
