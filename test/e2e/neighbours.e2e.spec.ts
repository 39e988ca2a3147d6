import { newId } from '../../src/kernel';
import { grantCollection, type GrantDoc } from '../../src/sharing/grants/grant.collection';
import { groupCollection, groupMemberCollection } from '../../src/sharing/groups/group.collection';
import { type Collection, Store } from '../../src/store';
import { signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';
import { isLong } from '../support/parts';
import { type Service, startService } from '../support/service';

interface Shown {
  readonly id: string;
}

/** The page, the reads of the store that it took, and what it held the event loop for. */
interface Asked {
  readonly ids: readonly string[];
  readonly reads: number;
  readonly longestMs: number;
  readonly totalMs: number;
}

const [GROUPS, GRANTS] = isLong() ? [1_000, 450] : [250, 100];
const FILES = 10;

describe('GET /files?shared=true', () => {
  let coffer: Coffer;
  beforeAll(async () => {
    coffer = await startCoffer();
  }, 120_000);
  afterAll(() => coffer.close());

  async function asked(client: Client): Promise<Asked> {
    const proto = Object.getPrototypeOf(coffer.get(Store).collection(grantCollection)) as Collection<GrantDoc>;
    const reads = [jest.spyOn(proto, 'find'), jest.spyOn(proto, 'list')];
    const begun = performance.now();
    let [last, longestMs, isOver] = [begun, 0, false];
    const watch = (): void => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
      if (!isOver) setImmediate(watch);
    };
    setImmediate(watch);
    const page = expectStatus(await client.get('/files?shared=true'), 200) as { items: Shown[] };
    isOver = true;
    const count = reads.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    for (const read of reads) read.mockRestore();
    return { ids: page.items.map(({ id }) => id), reads: count, longestMs, totalMs: performance.now() - begun };
  }

  /**
   * What thousands of requests leave behind, as rows: the friend is in many groups, and many grants
   * are to one of them each.
   */
  async function crowded(owner: Client, friend: Client): Promise<string[]> {
    const idOf = async (client: Client): Promise<string> => (expectStatus(await client.get('/me'), 200) as Shown).id;
    const [owner_id, user_id, created_at] = [await idOf(owner), await idOf(friend), Date.now()];
    const files: string[] = [];
    for (let at = 0; at < FILES; at += 1) {
      files.push((expectStatus(await owner.upload(`${at}.txt`, 'text'), 201) as Shown).id);
    }
    const store = coffer.get(Store);
    const groups = Array.from({ length: GROUPS }, () => newId());
    const group = async (_id: string): Promise<void> => {
      const row = { _id, owner_id, created_at, state: 'active', name: '', name_index: _id, key_version: 1 } as const;
      await store.collection(groupCollection).insert(row);
      await store
        .collection(groupMemberCollection)
        .insert({ _id: newId(), group_id: _id, owner_id, user_id, created_at });
    };
    await Promise.all(groups.map(group));
    const grant = (at: number): Promise<GrantDoc> =>
      store.collection(grantCollection).insert({
        ...{ _id: newId(), owner_id, resource_type: 'file', resource_id: files[at % FILES]! },
        ...{ asked_kind: 'group', asked_for: groups[(at * 7) % GROUPS]! },
        ...{ grantee_kind: 'group', grantee_id: groups[(at * 7) % GROUPS]!, created_at: created_at + at },
      });
    await Promise.all(Array.from({ length: GRANTS }, (_, at) => grant(at)));
    return files;
  }

  it('is one page in bounded work for a user whom others took into many groups, and lets other requests have their turn', async () => {
    const [{ client: owner }, { client: friend }] = [await signUp(coffer.client), await signUp(coffer.client)];
    const alone = await asked(friend);
    const files = await crowded(owner, friend);
    const tries = [await asked(friend), await asked(friend), await asked(friend)];
    for (const { ids, reads } of tries) {
      expect(ids).toEqual(files);
      // Each group and each grant is looked at a few times, whatever their number.
      expect(reads - alone.reads).toBeLessThan(4 * (GROUPS + GRANTS));
    }
    // A busy machine stops the process now and then, hardly three times in a row; work without a
    // pause is one hold each time.
    const freest = tries.reduce((best, one) => (one.longestMs < best.longestMs ? one : best));
    expect(freest.longestMs).toBeLessThan(Math.max(50, freest.totalMs / 2));
  }, 120_000);
});

const [UPLOADS, CONNECTIONS] = isLong() ? [800, 64] : [96, 32];

describe('Uploads of one owner over many connections to two processes', () => {
  let services: Service[] = [];
  beforeAll(async () => {
    const first = await startService({ readyWithinMs: 120_000 });
    services = [first];
    services.push(await startService({ dataDir: first.dataDir, readyWithinMs: 120_000 }));
  }, 300_000);
  afterAll(async () => {
    for (const service of services.reverse()) await service.dispose();
  }, 60_000);

  it('all are stored: none is refused for the others', async () => {
    const { client } = await signUp(new Client(services.map(({ url }) => url)));
    const statuses = new Map<number, number>();
    let next = 0;
    const connection = async (): Promise<void> => {
      while (next < UPLOADS) {
        const { status } = await client.upload(`${(next += 1)}.txt`, 'text');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, connection));
    expect([...statuses]).toEqual([[201, UPLOADS]]);
  }, 600_000);
});
