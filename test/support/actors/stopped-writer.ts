/**
 * A process that stops itself (SIGSTOP) between a wrap and what is stored of it, and goes on when
 * it is continued. argv[2]: the JSON of a Site; argv[3]: `create` makes a key for the owner `late`,
 * `insert` seals a value of the owner `a`. Prints `stops` before and `done <envelope>` at the end.
 */
import { Logger } from '@nestjs/common';
import { plaintext } from '../../../src/kernel';
import { afterNextWrap } from '../keys';
import { openSite, type Site } from '../site';

const [, , site = '', act = 'create'] = process.argv;

Logger.overrideLogger(false);
const stop = async (): Promise<void> => {
  process.stdout.write('stops\n');
  // The line has to leave the process before it stops.
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.kill(process.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1));
};

async function main(): Promise<string> {
  const fixture = await openSite(JSON.parse(site) as Site);
  try {
    if (act === 'create') {
      afterNextWrap(fixture.masterKey, stop);
      await fixture.userKeys.create('late', 'late');
      return '';
    }
    const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };
    return await fixture.sealer.insert('a', {
      pending: async (keys) => {
        const envelope = keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex');
        await stop();
        return envelope;
      },
      again: (_row, keys) => Promise.resolve(keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex')),
      activate: (row) => Promise.resolve(row),
    });
  } finally {
    await fixture.close();
  }
}

void main().then((envelope) => {
  process.stdout.write(`done ${envelope}\n`, () => process.exit(0));
});
