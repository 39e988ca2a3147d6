/**
 * A process that stops itself (SIGSTOP) between a wrap and what is stored of it, and goes on when it is continued. argv[2]: the folder of
 * store and keyring; argv[3]: `create` makes a key for the owner `late`, `insert` seals a value of the owner `a`. Prints `stops` before and
 * `done <envelope>` at the end.
 */
import { Logger } from '@nestjs/common';
import { plaintext } from '../../../src/kernel';
import { openKeyHouse } from '../key-house';
import { PausedMasterKey, ROOT_KEY } from '../keys';

const [, , folder = '', act = 'create'] = process.argv;

Logger.overrideLogger(false);
const stop = async (): Promise<void> => {
  process.stdout.write('stops\n');
  // The line has to leave the process before it stops.
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.kill(process.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1));
};

async function main(): Promise<string> {
  const masterKey = new PausedMasterKey(folder, ROOT_KEY);
  const house = await openKeyHouse(folder, { masterKey });
  try {
    if (act === 'create') {
      masterKey.afterWrap = stop;
      await house.userKeys.create('late', 'late');
      return '';
    }
    const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };
    return await house.sealer.insert('a', {
      pending: async (keys) => {
        const envelope = keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex');
        await stop();
        return envelope;
      },
      again: (_row, keys) => Promise.resolve(keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex')),
      activate: (row) => Promise.resolve(row),
    });
  } finally {
    await house.close();
  }
}

void main().then((envelope) => {
  process.stdout.write(`done ${envelope}\n`, () => process.exit(0));
});
