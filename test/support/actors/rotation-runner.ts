/**
 * A process that finishes the rotation that it finds and then, where argv[3] names a failpoint,
 * begins another one and dies there; `-` begins none, `run` begins one and arms nothing. argv[2] is
 * the JSON of a Site. Meanwhile it writes, registers and erases; argv[4] is the number of owners
 * `owner-<n>` who are there. Prints `opened`, `finished <rotation>` for what it finished, `begun`
 * before the new one and `answered <rotation>` after it, and a line for each act that was
 * acknowledged.
 */
import { Logger } from '@nestjs/common';
import { armFailpoint, isDomainError } from '../../../src/kernel';
import { type Rotation } from '../../../src/keys/rotation';
import { type KeyFixture } from '../key-fixture';
import { waitFor } from '../processes';
import { isOutage, throughOutages } from '../outages';
import { RotationTraffic } from '../rotation-traffic';
import { openSite, type Site } from '../site';

const [, , site = '', point = '-', owners = '1'] = process.argv;
/** A rotation of many keys on a busy machine, where each may be a document in Vault. */
const PATIENCE = 180_000 + Number(owners) * 100;

Logger.overrideLogger(false);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Undefined in an outage: whatever runs the service starts it again. */
async function open(): Promise<KeyFixture | undefined> {
  try {
    return await openSite(JSON.parse(site) as Site);
  } catch (error) {
    if (isOutage(error)) return undefined;
    throw error;
  }
}

/** Where the answer got lost there is a rotation all the same. */
async function begin({ rotations }: KeyFixture): Promise<string> {
  try {
    return (await throughOutages(() => rotations.rotateMasterKey('admin'))).id;
  } catch (error) {
    if (!isDomainError(error, 'rotation_running')) throw error;
    return String(error.extensions['rotation_id']);
  }
}

async function main(): Promise<void> {
  const fixture = await waitFor('the store and the key home', open, PATIENCE);
  const latest = async (): Promise<Rotation | undefined> =>
    (await throughOutages(() => fixture.rotations.list({ limit: 1 }))).items[0];
  const ended = (rotation: Rotation | undefined): boolean => rotation?.state !== 'running';
  const traffic = new RotationTraffic({
    fixture,
    owners: Array.from({ length: Number(owners) }, (_, n) => `owner-${n}`),
    acknowledge: say,
    fault: (line) => say(`fault ${line}`),
    pauseMs: 50,
  });
  fixture.jobs.onApplicationBootstrap();
  traffic.start();
  say('opened');
  await waitFor('the end of what was there', async () => ended(await latest()), PATIENCE);
  say(`finished ${JSON.stringify((await latest()) ?? null)}`);
  if (point !== '-') {
    armFailpoint(point === 'run' ? undefined : point);
    say('begun');
    const id = await begin(fixture);
    await waitFor('the end', async () => ended(await throughOutages(() => fixture.rotations.find(id))), PATIENCE);
    say(`answered ${JSON.stringify(await throughOutages(() => fixture.rotations.find(id)))}`);
  }
  await traffic.stop();
  await fixture.close();
}

void main().then(() => process.exit(0));
