import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Clock, StartupError } from '../../kernel';
import { Collection, DuplicateKey } from '../collection';
import { defineCollection, Doc, plain } from '../definition';
import { INSTALLATION, installationCollection } from '../../installation';
import { SCHEMA } from '../schema';
import { EmbeddedStore } from './embedded-store';
import type { Rows } from './environment';
import { IndexTable } from './index-table';

interface TicketDoc extends Doc {
  readonly expires_at?: number;
  readonly number?: string;
}

const tickets = defineCollection<TicketDoc>({
  name: 'tickets',
  fields: { expires_at: plain.time, number: plain.string },
  indexes: { byNumber: { fields: ['number'], unique: true } },
  expiry: 'expires_at',
  tampered: 'refuse',
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

  describe('while it is walked over', () => {
    const PAGES = 20;
    /** Counts the turns of the event loop, and the maximum number of pages in one of them. */
    async function turnsOf(walk: (onPage: () => void) => Promise<void>): Promise<{ turns: number; most: number }> {
      const seen = { turns: 0, pages: 0, most: 0 };
      const count = (): void => {
        seen.turns += 1;
        seen.pages = 0;
      };
      let immediate = setImmediate(function again() {
        count();
        immediate = setImmediate(again);
      });
      await walk(() => (seen.most = Math.max(seen.most, ++seen.pages)));
      clearImmediate(immediate);
      return seen;
    }

    beforeEach(async () => {
      for (let at = 0; at < PAGES; at += 1) await rows.insert({ _id: `ticket-${at}`, number: `${at}` });
    });

    it('lets others have their turn between two pages of a list', async () => {
      const { turns } = await turnsOf(async (onPage) => {
        for (let after: string | undefined, page = 0; page < PAGES; page += 1) {
          const { next } = await rows.list('_id', [], { limit: 1, ...(after !== undefined && { after }) });
          onPage();
          after = next;
        }
      });
      expect(turns).toBeGreaterThanOrEqual(PAGES - 2);
    });

    it('gives one page of all scans together to a turn', async () => {
      const { most } = await turnsOf(async (onPage) => {
        const scan = async (): Promise<void> => {
          for (let after: string | undefined, page = 0; page < PAGES; page += 1) {
            const { next } = await rows.scan('_id', [], { limit: 1, ...(after !== undefined && { after }) });
            onPage();
            after = next;
          }
        };
        await Promise.all(Array.from({ length: 8 }, scan));
      });
      expect(most).toBeLessThanOrEqual(2);
    });
  });

  it('keeps its folder to its owner', async () => {
    expect((await stat(join(folder, 'store'))).mode & 0o777).toBe(0o700);
  });

  it('refuses to start where its folder is a file', async () => {
    const file = join(folder, 'file');
    await writeFile(file, 'x');
    expect(() => new EmbeddedStore(join(file, 'store'), clock)).toThrow(StartupError);
  });

  it('refuses to start on a file that is no database, and leaves it as it is', async () => {
    const other = join(folder, 'other');
    await store.close();
    await rm(join(folder, 'store'), { recursive: true });
    store = new EmbeddedStore(other, clock);
    await store.close();
    await writeFile(join(other, 'data.mdb'), Buffer.alloc(65_536, 7));
    await chmod(join(other, 'data.mdb'), 0o600);
    expect(() => new EmbeddedStore(other, clock)).toThrow(StartupError);
    expect((await stat(join(other, 'data.mdb'))).size).toBe(65_536);
  });

  describe('and its indexes', () => {
    const ROWS = 3_000;
    const withIndexes = (indexes: (typeof tickets)['indexes']): typeof tickets => ({
      ...tickets,
      name: 'built',
      indexes,
    });
    const plain = withIndexes({});
    const unique = withIndexes({ byNumber: { fields: ['number'], unique: true } });
    /** Another process on the same folder. */
    const another = (schema?: number): EmbeddedStore => {
      const made = new EmbeddedStore(join(folder, 'store'), clock, schema);
      opened.push(made);
      return made;
    };
    const opened: EmbeddedStore[] = [];
    afterEach(async () => {
      for (const each of opened.splice(0)) await each.close();
    });

    async function fill(): Promise<Collection<TicketDoc>> {
      const before = store.collection(plain);
      await store.prepare();
      await Promise.all(Array.from({ length: ROWS }, (_, i) => before.insert({ _id: `r${i}`, number: `n${i}` })));
      return before;
    }

    const complete = async (found: Collection<TicketDoc>, expected: number): Promise<void> => {
      expect(await found.count('byNumber', [])).toBe(expected);
      const page = await found.list('byNumber', [], { limit: 2 * ROWS });
      expect(page.items).toHaveLength(expected);
    };

    it('builds a new one in steps, between which others write', async () => {
      const before = await fill();
      const next = another();
      const found = next.collection(unique);
      let isBuilt = false;
      const building = next.prepare().finally(() => (isBuilt = true));
      let added = 0;
      for (; !isBuilt; added += 1) {
        await before.insert({ _id: `a${added}`, number: `m${added}` });
        await before.replace({ ...(await before.find('_id', `r${added}`))!, number: `changed${added}` });
        await before.remove(`r${ROWS - 1 - added}`);
      }
      await building;
      expect(added).toBeGreaterThan(1);
      await complete(found, ROWS);
      expect((await found.find('byNumber', 'changed0'))?._id).toBe('r0');
      expect(await found.find('byNumber', 'n0')).toBeUndefined();
      await expect(before.insert({ _id: 'x', number: 'm0' })).rejects.toBeInstanceOf(DuplicateKey);
    });

    it('goes on with a build that ended in the middle, in another process or in several at once', async () => {
      await fill();
      const next = another();
      next.collection(unique);
      const ended = next.prepare();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await next.close();
      await ended.catch(() => undefined);
      const others = [another(), another()];
      const found = others.map((each) => each.collection(unique));
      await Promise.all(others.map((each) => each.prepare()));
      for (const each of found) await complete(each, ROWS);
    });

    it('answers no question by one that is not complete', async () => {
      await fill();
      const next = another();
      const found = next.collection(unique);
      await expect(found.find('byNumber', 'n1')).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(found.count('byNumber', [])).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(found.insert({ _id: 'x' })).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await found.find('_id', 'r1')).toBeDefined();
    });

    it('refuses a start whose new unique index has two rows under one key, and lets others write as before', async () => {
      const before = await fill();
      await before.insert({ _id: 'z', number: 'n1' });
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const next = another();
        next.collection(unique);
        await expect(next.prepare()).rejects.toThrow(StartupError);
      }
      await before.insert({ _id: 'zz', number: 'n1' });
      await before.remove('z');
      await before.remove('zz');
      const mended = another();
      const found = mended.collection(unique);
      await mended.prepare();
      await complete(found, ROWS);
    });

    it('refuses the start of each process where several find that at the same time', async () => {
      const before = await fill();
      await before.insert({ _id: 'z', number: 'n1' });
      const starts = Array.from({ length: 3 }, () => another()).map((each) => {
        each.collection(unique);
        return each.prepare();
      });
      const ends = await Promise.allSettled(starts);
      const refused = expect.objectContaining({ status: 'rejected', reason: expect.any(StartupError) as unknown });
      expect(ends).toEqual([refused, refused, refused]);
    });

    it('builds a new one that another process gave up while this one built it', async () => {
      await fill();
      const next = another();
      const found = next.collection(unique);
      const register: unknown = Reflect.get(IndexTable.prototype, 'register');
      const spy = jest.spyOn(IndexTable.prototype, 'register').mockImplementationOnce(function (
        this: IndexTable<TicketDoc>,
        rows: Rows,
      ) {
        (register as (rows: Rows) => void).call(this, rows);
        const given = this.slots(rows).map((slot) => ({ ...slot, state: 'dropping' as const }));
        this.put(rows, given);
      });
      await next.prepare();
      expect(spy).toHaveBeenCalledTimes(2);
      spy.mockRestore();
      await complete(found, ROWS);
    });

    it('does not take the key of one row away with another one, while two have it and a build is under way', async () => {
      const before = await fill();
      await before.insert({ _id: 'z', number: 'twice' });
      const next = another();
      next.collection(unique);
      const building = next.prepare();
      await new Promise((resolve) => setTimeout(resolve, 1));
      const second = before.insert({ _id: 'a', number: 'twice' });
      const isIn = await second.then(() => true).catch(() => false);
      await before.remove('z');
      await building.catch(() => undefined);
      const after = another();
      const found = after.collection(unique);
      await after.prepare();
      expect((await found.find('byNumber', 'twice'))?._id).toBe(isIn ? 'a' : undefined);
    });

    it('keeps those of a process of another release that starts, and what it retires by them', async () => {
      await fill();
      const next = another();
      const found = next.collection(unique);
      await next.prepare();
      const former = another();
      former.collection(plain);
      await former.prepare();
      await complete(found, ROWS);
    });

    it('takes no write of a process that the installation does not admit any more', async () => {
      const old = another(SCHEMA - 1);
      const rows = old.collection(plain);
      await rows.insert({ _id: 'before' });
      const documents = store.collection({ ...installationCollection, authenticated: false });
      const doc = { _id: INSTALLATION, installation_id: 'i', store: 's', master_key: 'm', blobs: 'b', created_at: 1 };
      await documents.insert({ ...doc, state: 'ready', schema: SCHEMA, lowest_schema: SCHEMA });
      await expect(rows.insert({ _id: 'after' })).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(rows.remove('before')).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(old.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await rows.find('_id', 'before')).toBeDefined();
      await store.collection(plain).insert({ _id: 'new' });
    });
  });
});
