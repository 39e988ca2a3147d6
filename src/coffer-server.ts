import './config/thread-pool';

/** The one entry point: the service and its commands. Each is loaded for itself, so that help costs little. */

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

/** Each module runs with the arguments behind its name, and ends the process. */
const COMMANDS: ReadonlyMap<string, () => Promise<unknown>> = new Map([
  ['start', () => import('./main.js')],
  ['admin', () => import('./admin.js')],
  ['keys', () => import('./keys-cli.js')],
  ['blobs', () => import('./blobs-cli.js')],
  ['backup', () => import('./backup.js')],
  ['receipts', () => import('./receipts.js')],
]);

async function run(name = 'start'): Promise<void> {
  const load = COMMANDS.get(name);
  if (load !== undefined) {
    process.argv.splice(2, 1);
    await load();
    return;
  }
  const asked = name === '--help' || name === '-h' || name === 'help';
  (asked ? process.stdout : process.stderr).write(HELP);
  process.exitCode = asked ? 0 : 2;
}

void run(process.argv[2]);
