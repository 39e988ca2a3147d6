/**
 * A process whose argv[5] uploads at a time count and settle contents of the owner argv[3] in the
 * store in argv[2], argv[4] of them in all. Prints
 * `counted <how many> refused <codes of the others>` at the end.
 */
import { QuotaLedger } from '../../../src/files/content/quota-ledger';
import { DomainError, newId, SystemClock } from '../../../src/kernel';
import { openAuthenticatedStore } from '../sealed-store';
import { usageParts } from '../usage';

const [, , folder = '', owner = '', count = '100', width = '32'] = process.argv;
const open = openAuthenticatedStore(folder);
const ledger = new QuotaLedger(open.store, new SystemClock(), ...usageParts(open.store));

async function main(): Promise<void> {
  const refused: string[] = [];
  let begun = 0;
  let counted = 0;
  const writer = async (): Promise<void> => {
    while (begun < Number(count)) {
      begun += 1;
      const mark = newId();
      try {
        await ledger.add(owner, mark, 1);
        await ledger.settle(owner, mark);
        counted += 1;
      } catch (error) {
        refused.push(error instanceof DomainError ? error.code : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: Number(width) }, writer));
  process.stdout.write(`counted ${counted} refused ${refused.join(',') || 'none'}\n`);
  await open.close();
}

void main();
