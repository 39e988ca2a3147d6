import { armFailpoint, SecretBytes } from '../../src/kernel';
import { wrapContext } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';

// A program for race and kill tests: opens a keyring and rotates it `rounds` times in turn with its
// rivals. Prints one JSON line: the wraps it made, each with a version that it was told is current.
const [folder, rootKey, rounds, failpoint] = process.argv.slice(2);

async function main(): Promise<void> {
  const home = new LocalMasterKey(folder!, rootKey!);
  await home.open();
  armFailpoint(failpoint);
  const wraps = [];
  for (let round = 0; round < Number(rounds); round += 1) {
    const { current } = await home.state();
    const version = await home.rotate(current);
    const key = new SecretBytes(Buffer.alloc(32, 5));
    wraps.push(...(await home.wrap(version, [{ key, context: wrapContext('user-key', 'alice', 1) }])));
  }
  process.stdout.write(`${JSON.stringify(wraps)}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
