/**
 * A process of a newer release on the embedded store in argv[2]: it builds an index over `things`
 * that the others do not have, and prints how much memory it used at most. argv[3]: a crash point
 * to die at.
 */
import { armFailpoint, isDomainError, SystemClock } from '../../../src/kernel';
import { EmbeddedStore } from '../../../src/store/embedded';
import { indexedThings } from '../indexed-things';

const [, , folder = '', point] = process.argv;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const used = (): number => Math.round(process.resourceUsage().maxRSS / 1024);

async function build(): Promise<void> {
  const store = new EmbeddedStore(folder, new SystemClock());
  store.collection(indexedThings);
  armFailpoint(point);
  say(`building ${used()} MiB`);
  for (;;) {
    try {
      await store.prepare();
      break;
    } catch (error) {
      // As a start does: it tries again, and the build goes on from its stored position.
      if (!isDomainError(error, 'store_unavailable')) throw error;
      say('again');
    }
  }
  say(`built ${used()} MiB`);
  await store.close();
}

void build().then(() => process.exit(0));
