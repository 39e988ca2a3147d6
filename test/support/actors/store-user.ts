/**
 * A process that uses the store `embedded <folder>` or `mongo <url>` in one way:
 *   increment <id> <times>   adds 1 to a number, again and again, racing others
 *   claim <prefix> <count>   tries to insert each of `count` unique keys, prints those it got
 *   write                    inserts without end: `ok <id>` once acknowledged, `refused <code>`,
 *                            and `read` for each row read back
 *   hold <ms>                stays inside a write transaction of the embedded store for that long
 *   exit                     calls process.exit(0) in the middle of writes
 *   throw                    throws what nobody catches in the middle of writes
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, newId, SystemClock } from '../../../src/kernel';
import { DuplicateKey, type Store, update } from '../../../src/store';
import { EmbeddedStore } from '../../../src/store/embedded';
import { Environment } from '../../../src/store/embedded/environment';
import { MongoStore } from '../../../src/store/mongo';
import { thingDefinition } from '../../contract/collection/things';

const [, , engine = '', place = '', command = '', first = '', count = '0'] = process.argv;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const store: Store =
  engine === 'mongo' ? new MongoStore({ url: place, dbName: 'faults' }) : new EmbeddedStore(place, new SystemClock());
const things = store.collection(thingDefinition('things'));

async function increment(id: string, times: number): Promise<void> {
  for (let done = 0; done < times; done += 1) {
    await update(things, id, (doc) => ({ ...doc, size: (doc.size ?? 0) + 1 }));
  }
}

async function claim(prefix: string, keys: number): Promise<void> {
  const claimOne = async (key: string): Promise<void> => {
    try {
      await things.insert({ _id: newId(), owner: String(process.pid), email: key });
      say(`got ${key}`);
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
    }
  };
  await Promise.all(Array.from({ length: keys }, (_, key) => claimOne(`${prefix}${key}`)));
}

async function writeWithoutEnd(): Promise<never> {
  for (;;) {
    const _id = newId();
    try {
      await things.insert({ _id, owner: 'writer', email: `${_id}@example.com`, notes: { padding: 'x'.repeat(2_000) } });
      say(`ok ${_id}`);
    } catch (error) {
      say(`refused ${error instanceof DomainError ? error.code : String(error)}`);
    }
    const read = await things.list('byOwner', ['writer'], { limit: 1 }).catch(() => undefined);
    if (read !== undefined) say('read');
    await sleep(1);
  }
}

async function hold(ms: number): Promise<void> {
  await new Environment(place).write(() => {
    say('holding');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }, 2 * ms);
}

/** Once the first of many writes is through, so that the thread of the writer waits for more. */
async function end(how: 'exit' | 'throw'): Promise<void> {
  const writes = Array.from({ length: 2_000 }, (_, i) => things.insert({ _id: `end-${i}`, owner: 'ada' }));
  await sleep(1);
  void Promise.allSettled(writes);
  if (how === 'exit') process.exit(0);
  setImmediate(() => {
    throw new Error('nobody catches this');
  });
  await Promise.all(writes);
}

async function main(): Promise<void> {
  if (command === 'increment') await increment(first, Number(count));
  if (command === 'claim') await claim(first, Number(count));
  if (command === 'write') for (let i = 0; i < 8; i += 1) void writeWithoutEnd();
  if (command === 'hold') await hold(Number(first));
  if (command === 'exit' || command === 'throw') await end(command);
  if (command !== 'write') await store.close();
}

void main();
