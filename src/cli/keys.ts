import type { BackendName } from '../keys/master-key';
import type { WrapLocation } from '../installation';
import { type Command, type Work, WrongUsage } from './run';

const HELP = `Usage: coffer-server keys COMMAND   (in a clone: npm run keys -- COMMAND)

  status     shows the master key's backend and versions, and the rotation that is under way
  rotations  lists the last rotations of the master key, newest first
  rotate     lets the service rotate the master key and shows its progress until the end; follows the rotation that is under way, if there is
             one. Ctrl-C ends the watching alone: the rotation goes on in the service
  migrate --to transit|kv|local
             moves the master key to another backend while the service serves. It may be ended or killed at any moment and run again. The
             environment names both backends, MASTER_KEY the former one (either of them while the move runs); so does that of each replica
  migrate --user-keys vault|store
             moves the wrapped user keys into Vault, or out of it into the store, while the service serves. It may be ended or killed at any
             moment and run again, or turned round by naming the other location. The environment names Vault, USER_KEY_STORE the former one
             (either of them while the move runs); so does that of each replica
  trim VERSION --token-file PATH
             destroys master key version VERSION and all before it in Vault (Transit or KV), after they were retired. This is final: no
             backup of the store that is wrapped by them opens again. PATH holds a token with the operator's policy (deploy/vault), which
             the service never has; - reads it from standard input
  --help     shows this

It reads the same environment as the service, which may run meanwhile; a rotation needs it running.
Exit codes: 0 done, 1 refused, failed, with keys in quarantine, or not watched to the end, 2 wrong usage.
`;

export const keys: Command = { help: HELP, parse };

const SUBCOMMANDS: ReadonlyMap<string, (args: readonly string[]) => Work> = new Map([
  ['status', alone(async () => (await import('./keys/status.js')).status())],
  ['rotations', alone(async () => (await import('./keys/status.js')).rotations())],
  ['rotate', alone(async () => (await import('./keys/rotate.js')).rotate())],
  ['migrate', migrate],
  ['trim', trim],
]);

function parse([name = '', ...rest]: readonly string[]): Work {
  const subcommand = SUBCOMMANDS.get(name);
  if (subcommand === undefined) throw new WrongUsage();
  return subcommand(rest);
}

/** A subcommand without arguments. */
function alone(work: Work): (args: readonly string[]) => Work {
  return (args) => {
    if (args.length > 0) throw new WrongUsage();
    return work;
  };
}

// Typed as records, so that a new backend or location is missed by the compiler and not by an
// operator.
const BACKENDS: Readonly<Record<BackendName, true>> = { transit: true, kv: true, local: true };
const LOCATIONS: Readonly<Record<WrapLocation, true>> = { store: true, vault: true };

const isBackend = (value: string): value is BackendName => Object.hasOwn(BACKENDS, value);
const isLocation = (value: string): value is WrapLocation => Object.hasOwn(LOCATIONS, value);

/** `migrate --to BACKEND`, `migrate --user-keys LOCATION` */
function migrate([option, value = '', ...rest]: readonly string[]): Work {
  if (rest.length > 0) throw new WrongUsage();
  if (option === '--to' && isBackend(value))
    return async () => (await import('./keys/migrate-master-key.js')).migrateMasterKey(value);
  if (option === '--user-keys' && isLocation(value))
    return async () => (await import('./keys/migrate-user-keys.js')).migrateUserKeys(value);
  throw new WrongUsage();
}

/** `trim VERSION --token-file PATH` */
function trim([version = '', option, path = '', ...rest]: readonly string[]): Work {
  const isVersion = /^[1-9]\d{0,8}$/.test(version);
  if (!isVersion || option !== '--token-file' || path === '' || rest.length > 0) throw new WrongUsage();
  return async () => (await import('./keys/trim.js')).trim(Number(version), path);
}
