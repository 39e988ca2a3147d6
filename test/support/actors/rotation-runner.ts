/**
 * A process that finishes the rotation that it finds and then, where argv[4] names a failpoint, begins another one and dies there; `-`
 * begins none, `run` begins one and arms nothing. argv[2] is the folder of store and keyring, argv[3] `local` or the JSON of a Transit
 * configuration. Prints `finished <rotation>` for what it finished, `begun` before the new one, and `answered <rotation>` after it.
 */
import { Logger } from '@nestjs/common';
import { armFailpoint } from '../../../src/kernel';
import { type Rotation } from '../../../src/keys/rotation';
import { TransitMasterKey, type TransitConfig } from '../../../src/keys/master/transit';
import { openKeyHouse } from '../key-house';
import { waitFor } from '../processes';

const [, , folder = '', home = 'local', point = '-'] = process.argv;

Logger.overrideLogger(false);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const house = await openKeyHouse(folder, {
    ...(home === 'local' ? {} : { masterKey: new TransitMasterKey(JSON.parse(home) as TransitConfig) }),
  });
  const latest = async (): Promise<Rotation | undefined> => (await house.rotations.list({ limit: 1 })).items[0];
  house.jobs.onApplicationBootstrap();
  const found = await waitFor('the end of what was there', async () => {
    const rotation = await latest();
    return rotation?.state === 'running' ? undefined : { rotation };
  });
  say(`finished ${JSON.stringify(found.rotation ?? null)}`);
  if (point !== '-') {
    armFailpoint(point === 'run' ? undefined : point);
    say('begun');
    const { id } = await house.rotations.start('admin');
    const ended = await waitFor('the end', async () => {
      const rotation = await house.rotations.find(id);
      return rotation.state === 'running' ? undefined : rotation;
    });
    say(`answered ${JSON.stringify(ended)}`);
  }
  await house.close();
}

void main().then(() => process.exit(0));
