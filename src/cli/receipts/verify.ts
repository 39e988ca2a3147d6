import { readFile } from 'node:fs/promises';
import { ErasureReceipt, ReceiptFault, verifyReceipt } from '../../account-lifecycle';
import { StartupError } from '../../kernel';

/** Needs no installation: whoever holds a receipt and the public key can verify it. */
export async function verify(file: string, keyFile: string): Promise<string> {
  try {
    return inWords(verifyReceipt(await read(file), await read(keyFile)));
  } catch (error) {
    if (error instanceof ReceiptFault || error instanceof TypeError) throw new StartupError(error.message);
    throw error;
  }
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
