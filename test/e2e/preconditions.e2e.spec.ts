import { signUp } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

const ROUNDS = 16;

/**
 * Changes and removals that hold the same ETag, sent at the same time: on one process, and on two
 * that share a database.
 */
describeOnProfiles('If-Match', (context) => preconditions(context), {
  env: { TRASH_DAYS: '30' },
  longOn: ['mongoose'],
});

function preconditions(context: ProfileContext): void {
  let alice: Client;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
  });

  interface Resource {
    readonly path: string;
    readonly etag: string;
  }

  /** Sends both and says which were done. Each process gets the one first as often as the other. */
  async function race(round: number, change: () => Promise<Answer>, removal: () => Promise<Answer>): Promise<number> {
    const order = round % 4 < 2 ? [change, removal] : [removal, change];
    if (round % 2 === 1) alice.target();
    const answers = await Promise.all(order.map((send) => send()));
    // 409 is for a new version whose file went while its bytes came.
    for (const answer of answers) if (answer.status >= 300) expect([404, 409, 412]).toContain(answer.status);
    return answers.filter(({ status }) => status < 300).length;
  }

  async function rounds(attempt: (round: number) => Promise<number>): Promise<number[]> {
    const done: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) done.push(await attempt(round));
    return done;
  }

  async function file(round: number): Promise<Resource> {
    const answer = await alice.upload(`raced ${round} ${Math.random()}`, 'content');
    const { id } = expectStatus(answer, 201) as { id: string };
    return { path: `/files/${id}`, etag: answer.headers['etag']! };
  }

  async function record(): Promise<Resource> {
    const answer = await alice.post('/sensitive-data', { data_type: 'note', value: 'first' });
    const { id } = expectStatus(answer, 200) as { id: string };
    return { path: `/sensitive-data/${id}`, etag: answer.headers['etag']! };
  }

  const held = ({ etag }: Resource) => ({ headers: { 'if-match': etag } });
  const ones = Array<number>(ROUNDS).fill(1);

  it.each(['', '?permanent=true'])('lets PATCH or DELETE%s of a file through, never both', async (query) => {
    const done = await rounds(async (round) => {
      const raced = await file(round);
      return race(
        round,
        () => alice.patch(raced.path, { content_type: 'text/css' }, held(raced)),
        () => alice.delete(`${raced.path}${query}`, held(raced)),
      );
    });
    expect(done).toEqual(ones);
  });

  it('lets a new version or DELETE of a file through, never both', async () => {
    const done = await rounds(async (round) => {
      const raced = await file(round);
      const headers = { 'content-type': 'application/octet-stream', 'if-match': raced.etag };
      return race(
        round,
        () => alice.send('PUT', `${raced.path}/content`, { body: 'second', headers }),
        () => alice.delete(`${raced.path}?permanent=true`, held(raced)),
      );
    });
    expect(done).toEqual(ones);
  });

  it('lets PUT or DELETE of a record through, never both', async () => {
    const done = await rounds(async (round) => {
      const raced = await record();
      return race(
        round,
        () => alice.put(raced.path, { data_type: 'note', value: 'second' }, held(raced)),
        () => alice.delete(raced.path, held(raced)),
      );
    });
    expect(done).toEqual(ones);
  });

  it('holds a removal of a version against that version and against the file', async () => {
    const { path } = await file(0);
    const type = { 'content-type': 'application/octet-stream', 'if-match': '*' };
    for (const body of ['second', 'third']) await alice.send('PUT', `${path}/content`, { body, headers: type });
    const tagOf = async (version: number): Promise<string> =>
      (await alice.head(`${path}/content?version=${version}`)).headers['etag']!;
    const stale = { headers: { 'if-match': await tagOf(2) } };
    expectProblem(await alice.delete(`${path}/versions/1`, stale), 412, 'precondition_failed');
    const current = { headers: { 'if-match': await tagOf(1) } };
    expect((await alice.delete(`${path}/versions/1`, current)).status).toBe(204);
    const ofTheFile = { headers: { 'if-match': (await alice.get(path)).headers['etag']! } };
    expect((await alice.delete(`${path}/versions/2`, ofTheFile)).status).toBe(204);
  });

  it('never holds where there is no ETag', async () => {
    const group = expectStatus(await alice.post('/groups', { name: 'tagless' }), 200) as { id: string };
    const path = `/groups/${group.id}`;
    expectProblem(await alice.delete(path, { headers: { 'if-match': '"1"' } }), 412, 'precondition_failed');
    expect((await alice.get(path)).status).toBe(200);
    expect((await alice.delete(path, { headers: { 'if-match': '*' } })).status).toBe(204);
  });
}
