import '../config/thread-pool';
import { type Command, runCommand } from './run';

const HELP = `Usage: coffer-server [COMMAND [ARGUMENTS]]

  start      starts the service; the same without a command
  admin      lists accounts, makes administrators, ends lockouts
  keys       shows, rotates, moves and trims the master key; moves the wrapped user keys
  blobs      moves the blob store, or takes another one for that of the installation
  backup     copies the data folder of an installation on the embedded store
  receipts   verifies and issues receipts of erased accounts
  --help     shows this

\`coffer-server COMMAND --help\` shows what a command takes. In a container: docker compose exec app coffer-server COMMAND.
In a clone: npm run COMMAND -- ARGUMENTS, and npm start for the service.
`;

/** Only the command that is asked for is loaded, so that help costs little. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['admin', async () => (await import('./admin.js')).admin],
  ['keys', async () => (await import('./keys.js')).keys],
  ['blobs', async () => (await import('./blobs.js')).blobs],
  ['backup', async () => (await import('./backup.js')).backup],
  ['receipts', async () => (await import('./receipts.js')).receipts],
]);

async function run([name = 'start', ...args]: readonly string[]): Promise<void> {
  if (name === 'start') {
    process.argv.splice(2, 1);
    await import('../main.js');
    return;
  }
  const load = COMMANDS.get(name);
  if (load !== undefined) return runCommand(await load(), args);
  const isAsked = name === '--help' || name === '-h' || name === 'help';
  (isAsked ? process.stdout : process.stderr).write(HELP);
  process.exitCode = isAsked ? 0 : 2;
}

void run(process.argv.slice(2));
