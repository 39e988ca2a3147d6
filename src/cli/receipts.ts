import { type Command, type Work, WrongUsage } from './run';

const HELP = `Usage: coffer-server receipts COMMAND   (in a clone: npm run receipts -- COMMAND)

  verify FILE --key PUBLIC_KEY   checks a receipt of an erase, without the service, and says what it means
  public-key                     prints the public key that this installation's receipts are verified with
  issue ACCOUNT_ID               prints the receipt of an erase once more, with the tier that holds now
  --help                         shows this

FILE is the answer of the erase, or its "signature" alone. Only public-key and issue read the environment of the service, which may run
meanwhile. Exit codes: 0 done and the receipt holds, 1 refused or the receipt does not hold, 2 wrong usage.
`;

export const receipts: Command = { help: HELP, parse };

const issuing = () => import('./receipts/issue.js');

function parse([command = '', ...rest]: readonly string[]): Work {
  if (command === 'verify') return verify(rest);
  if (command === 'public-key' && rest.length === 0) return async () => (await issuing()).publicKey();
  const [accountId = ''] = rest;
  if (command === 'issue' && accountId !== '' && rest.length === 1)
    return async () => (await issuing()).issue(accountId);
  throw new WrongUsage();
}

/** `verify FILE --key PUBLIC_KEY`, in either order */
function verify(args: readonly string[]): Work {
  const at = args.indexOf('--key');
  const keyFile = at === -1 ? undefined : args[at + 1];
  const files = args.filter((_, index) => at === -1 || (index !== at && index !== at + 1));
  const [file] = files;
  if (keyFile === undefined || file === undefined || files.length !== 1) throw new WrongUsage();
  return async () => (await import('./receipts/verify.js')).verify(file, keyFile);
}
