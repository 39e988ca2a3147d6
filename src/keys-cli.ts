import 'reflect-metadata';
import { rotations, status } from './keys-cli/lists';
import { migrate } from './keys-cli/migrate';
import { rotate } from './keys-cli/rotate';
import { trim } from './keys-cli/trim';
import { WrongUsage, runTool } from './tool';

const HELP = `Usage: coffer-server keys COMMAND   (in a clone: npm run keys -- COMMAND)

  status     shows the master key's home and versions, and the rotation that is under way
  rotations  lists the last rotations of the master key, newest first
  rotate     lets the service rotate the master key and shows its progress until the end; follows the rotation that is under way, if there is
             one. Ctrl-C ends the watching alone: the rotation goes on in the service
  migrate --to transit|kv|local
             moves the master key to another home while the service serves. It may be ended or killed at any moment and run again. The
             environment names both homes, MASTER_KEY the former one (either of them while the move runs); so does that of each replica
  migrate --user-keys vault|store
             moves the wrapped user keys into Vault, or out of it into the store, while the service serves. It may be ended or killed at any
             moment and run again, or turned round by naming the other place. The environment names Vault, USER_KEY_STORE the former place
             (either of them while the move runs); so does that of each replica
  trim VERSION --token-file PATH
             destroys master key version VERSION and all before it in Vault (Transit or KV), after they were retired. This is final: no
             backup of the store that is wrapped by them opens again. PATH holds a token with the operator's policy (deploy/vault), which
             the service never has; - reads it from standard input
  --help     shows this

It reads the same environment as the service, which may run meanwhile; a rotation needs it running.
Exit codes: 0 done, 1 refused, failed, with keys in quarantine, or not watched to the end, 2 wrong usage.
`;

/** Each gets the arguments behind its name and resolves with what is to be said. @throws WrongUsage */
const COMMANDS: ReadonlyMap<string, (args: readonly string[]) => Promise<string>> = new Map([
  ['status', status],
  ['rotations', rotations],
  ['rotate', rotate],
  ['migrate', migrate],
  ['trim', trim],
]);

function main(args: readonly string[]): Promise<string> {
  if (args.includes('--help') || args.includes('-h')) return Promise.resolve(HELP);
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (command === undefined) throw new WrongUsage();
  return command(rest);
}

runTool(main, HELP);
