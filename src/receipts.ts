import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { ErasureReceipt, ReceiptFault, Receipts, verifyReceipt } from './account-lifecycle';
import { WrongUsage, runTool } from './tool';

const HELP = `Usage: coffer-server receipts COMMAND   (in a clone: npm run receipts -- COMMAND)

  verify FILE --key PUBLIC_KEY   checks a receipt of an erase, without the service, and says what it means
  public-key                     prints the public key that this installation's receipts are verified with
  issue ACCOUNT_ID               prints the receipt of an erase once more, with the tier that holds now
  --help                         shows this

FILE is the answer of the erase, or its "signature" alone. Only public-key and issue read the environment of the service, which may run
meanwhile. Exit codes: 0 done and the receipt holds, 1 refused or the receipt does not hold, 2 wrong usage.
`;

function main(args: readonly string[]): Promise<string> {
  if (args.includes('--help') || args.includes('-h')) return Promise.resolve(HELP);
  const [command = '', ...rest] = args;
  if (command === 'verify') return verify(rest);
  if (command === 'public-key' && rest.length === 0) return ofService((receipts) => receipts.publicKey());
  const [accountId = ''] = rest;
  if (command === 'issue' && accountId !== '' && rest.length === 1)
    return ofService((receipts) => issue(receipts, accountId));
  throw new WrongUsage();
}

/** Loaded for these commands alone: who verifies a receipt has no installation. */
async function ofService(ask: (receipts: Receipts) => string | Promise<string>): Promise<string> {
  const { withService } = await import('./with-service.js');
  return withService(async (app) => ask(app.get(Receipts, { strict: false })));
}

const issue = async (receipts: Receipts, accountId: string): Promise<string> =>
  `${JSON.stringify(await receipts.issueFor(accountId), null, 2)}\n`;

async function verify(args: readonly string[]): Promise<string> {
  const at = args.indexOf('--key');
  const keyFile = at === -1 ? undefined : args[at + 1];
  const files = args.filter((_, place) => at === -1 || (place !== at && place !== at + 1));
  const [file] = files;
  if (keyFile === undefined || file === undefined || files.length !== 1) throw new WrongUsage();
  return inWords(verifyReceipt(await read(file), await read(keyFile)));
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new ReceiptFault(`${path} cannot be read.`);
  }
}

const TIERS = {
  live: 'live: nothing of it is left in the installation. A backup of the store from before the erase still opens while a master key\n  version lives that may have wrapped the key.',
  backups:
    'backups: nothing of it is left in the installation, and no backup of its store opens what was sealed for this account.',
} as const;

function inWords(receipt: ErasureReceipt): string {
  const { user_key: key, erased } = receipt;
  const versions = key.wrapped_by.map(({ version, state }) => `${version} ${state}`).join(', ');
  const rows = Object.entries(erased).map(([module, count]) => `${module} ${count}`);
  return [
    'The receipt holds: it was signed with this key and not changed since.',
    '',
    `Account       ${receipt.account_id}, in installation ${receipt.installation_id}`,
    `Erased        ${receipt.finished_at}, asked for by its ${receipt.requested_by} at ${receipt.requested_at}`,
    `Rows          ${rows.join(', ')}${receipt.counts === 'at_least' ? ' (at least: a process died on the way)' : ''}`,
    `User key      destroyed; it was kept in ${key.kept_in === 'vault' ? 'Vault' : 'the store'}`,
    `Master key    ${key.master_key_home}, versions that may have wrapped it: ${versions}`,
    `Tier          ${TIERS[receipt.tier]}`,
    `  As of ${receipt.issued_at}; "disabled" can be undone by an operator of the key's home, "destroyed" cannot.`,
    'Not covered',
    ...receipt.not_covered.map((what) => `  ${what}`),
    '',
  ].join('\n');
}

const ownFault = (error: unknown): string | undefined =>
  error instanceof ReceiptFault || error instanceof TypeError ? error.message : undefined;

runTool(main, HELP, ownFault);
