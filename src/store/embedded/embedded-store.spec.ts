import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Clock, StartRefused } from '../../kernel';
import { Collection } from '../collection';
import { defineCollection, Doc } from '../definition';
import { EmbeddedStore } from './embedded-store';

interface TicketDoc extends Doc {
  readonly expires_at?: number;
  readonly number?: string;
}

const tickets = defineCollection<TicketDoc>({
  name: 'tickets',
  fields: { expires_at: 'time', number: 'string' },
  clear: ['expires_at', 'number'],
  indexes: { byNumber: { fields: ['number'], unique: true } },
  expiry: 'expires_at',
  forged: 'refuse',
});

class SetClock extends Clock {
  time = 1_000;
  now(): number {
    return this.time;
  }
}

describe('the embedded store', () => {
  let folder: string;
  let store: EmbeddedStore;
  let rows: Collection<TicketDoc>;
  const clock = new SetClock();

  beforeEach(async () => {
    clock.time = 1_000;
    folder = await mkdtemp(join(tmpdir(), 'coffer-embedded-'));
    store = new EmbeddedStore(join(folder, 'store'), clock);
    rows = store.collection(tickets);
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('sweeps rows whose expiry has passed, with their index entries, and no others', async () => {
    await rows.insert({ _id: 'past', expires_at: 999, number: '1' });
    await rows.insert({ _id: 'now', expires_at: 1_000 });
    await rows.insert({ _id: 'future', expires_at: 1_001 });
    await rows.insert({ _id: 'lasting' });
    expect(await store.sweep()).toBe(1);
    expect((await rows.list('_id', [], { limit: 9 })).items.map(({ _id }) => _id)).toEqual([
      'future',
      'lasting',
      'now',
    ]);
    await expect(rows.insert({ _id: 'next', number: '1' })).resolves.toBeDefined();
  });

  it('keeps a row that was renewed', async () => {
    const ticket = await rows.insert({ _id: 'ticket', expires_at: 999 });
    await rows.replace({ ...ticket, expires_at: 5_000 });
    expect(await store.sweep()).toBe(0);
    clock.time = 6_000;
    expect(await store.sweep()).toBe(1);
  });

  it('sweeps more rows than one transaction takes', async () => {
    await Promise.all(Array.from({ length: 450 }, (_, i) => rows.insert({ _id: String(i), expires_at: i })));
    expect(await store.sweep()).toBe(450);
    expect(await rows.count('_id', [])).toBe(0);
  });

  it('keeps what it stored over a close', async () => {
    await rows.insert({ _id: 'ticket', number: '7' });
    await store.close();
    store = new EmbeddedStore(join(folder, 'store'), clock);
    expect(await store.collection(tickets).find('byNumber', '7')).toEqual({ _id: 'ticket', rev: 1, number: '7' });
  });

  it('answers store_unavailable after a close, to reads and writes, and closes twice', async () => {
    await rows.insert({ _id: 'ticket' });
    await store.close();
    await store.close();
    await expect(rows.insert({ _id: 'late' })).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(rows.find('_id', 'ticket')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('keeps its folder to its owner', async () => {
    expect((await stat(join(folder, 'store'))).mode & 0o777).toBe(0o700);
  });

  it('refuses to start where its folder is a file', async () => {
    const file = join(folder, 'file');
    await writeFile(file, 'x');
    expect(() => new EmbeddedStore(join(file, 'store'), clock)).toThrow(StartRefused);
  });

  it('refuses to start on a file that is no database, and leaves it as it is', async () => {
    const other = join(folder, 'other');
    await store.close();
    await rm(join(folder, 'store'), { recursive: true });
    store = new EmbeddedStore(other, clock);
    await store.close();
    await writeFile(join(other, 'data.mdb'), Buffer.alloc(65_536, 7));
    await chmod(join(other, 'data.mdb'), 0o600);
    expect(() => new EmbeddedStore(other, clock)).toThrow(StartRefused);
    expect((await stat(join(other, 'data.mdb'))).size).toBe(65_536);
  });
});
