import { createConnection } from 'mongoose';
import { signUp } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

const CARD = '4539148803436467';

interface RecordDto {
  readonly id: string;
  readonly data_type: string;
  readonly value: string;
}

describeOnProfiles('Sensitive data', (context) => sensitiveData(context));

function sensitiveData(context: ProfileContext): void {
  let alice: Client;
  let bob: Client;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
    bob = (await signUp(context.client)).client;
  });

  const post = (client: Client, value: unknown, data_type: unknown = 'note'): Promise<Answer> =>
    client.post('/sensitive-data', { data_type, value });
  const create = async (client: Client, value: string, type = 'note'): Promise<RecordDto> =>
    expectStatus(await post(client, value, type), 200) as RecordDto;
  const fresh = async (): Promise<Client> => (await signUp(context.client)).client;

  describe('one record', () => {
    it('has exactly id, data_type and value in each answer', async () => {
      const made = expectStatus(await post(alice, CARD, 'card_number'), 200);
      expect(made).toEqual({ id: expect.any(String), data_type: 'card_number', value: CARD });
      const path = `/sensitive-data/${made.id}`;
      expect(expectStatus(await alice.get(path), 200)).toEqual(made);
      const changed = { data_type: 'note', value: 'not a card' };
      expect(expectStatus(await alice.put(path, changed), 200)).toEqual({ id: made.id, ...changed });
      expect(expectStatus(await alice.delete(path), 200)).toEqual({ message: 'Data deleted successfully' });
      expectProblem(await alice.get(path), 404, 'not_found');
    });

    it.each(['Grüße 👋', 'with \u0000 NUL', '{"$ne":null}', ' ', '<script>', 'a'.repeat(256 * 1024)])(
      'comes back as it was sent (%#)',
      async (value) => {
        const { id } = await create(alice, value);
        expect(expectStatus(await alice.get(`/sensitive-data/${id}`), 200).value).toBe(value);
      },
    );

    it('is never kept by a cache', async () => {
      const { id } = await create(alice, 'x');
      expect((await alice.get(`/sensitive-data/${id}`)).headers['cache-control']).toBe('no-store');
    });

    it('of somebody else answers as one that does not exist', async () => {
      const { id } = await create(alice, 'mine');
      const body = { data_type: 'note', value: 'theirs' };
      const ways: [string, (path: string) => Promise<Answer>][] = [
        ['GET', (path) => bob.get(path)],
        ['PUT', (path) => bob.put(path, body)],
        ['DELETE', (path) => bob.delete(path)],
      ];
      for (const [, ask] of ways) {
        const [foreign, absent] = [await ask(`/sensitive-data/${id}`), await ask('/sensitive-data/no-such-record')];
        expectProblem(foreign, 404, 'not_found');
        expect({ ...foreign.json, instance: '' }).toEqual({ ...absent.json, instance: '' });
      }
      expect(expectStatus(await alice.get(`/sensitive-data/${id}`), 200).value).toBe('mine');
    });

    it.each(['%00', '..%2f..%2fetc', '$ne', '%F0%9F%91%8B', 'a'.repeat(90)])(
      'is not found under the id %s',
      async (id) => {
        expectProblem(await alice.get(`/sensitive-data/${id}`), 404, 'not_found');
      },
    );
  });

  describe('a change under a precondition', () => {
    const change = { data_type: 'note', value: 'changed' };

    it('is made where nobody changed the record since', async () => {
      const { id } = await create(alice, 'x');
      const { etag } = (await alice.get(`/sensitive-data/${id}`)).headers as { etag: string };
      const answer = await alice.put(`/sensitive-data/${id}`, change, { headers: { 'if-match': etag } });
      expectStatus(answer, 200);
      expect(answer.headers['etag']).not.toBe(etag);
      const stale = { headers: { 'if-match': etag } };
      expectProblem(await alice.put(`/sensitive-data/${id}`, change, stale), 412, 'precondition_failed');
      expectProblem(await alice.delete(`/sensitive-data/${id}`, stale), 412, 'precondition_failed');
      const now = { headers: { 'if-match': answer.headers['etag']! } };
      expectStatus(await alice.delete(`/sensitive-data/${id}`, now), 200);
    });

    it('is made by one of many who hold the same tag', async () => {
      const { id } = await create(alice, 'x');
      const headers = { 'if-match': (await alice.get(`/sensitive-data/${id}`)).headers['etag']! };
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          alice.put(`/sensitive-data/${id}`, { data_type: 'note', value: `v${n}` }, { headers }),
        ),
      );
      const statuses = answers.map((answer) => answer.status).sort();
      expect(statuses).toEqual([200, ...Array<number>(7).fill(412)]);
    });

    it('does not tell somebody else that there is a record', async () => {
      const { id } = await create(alice, 'x');
      const headers = { 'if-match': '"1"' };
      expectProblem(await bob.put(`/sensitive-data/${id}`, change, { headers }), 404, 'not_found');
    });
  });

  describe('a list', () => {
    let carol: Client;
    beforeAll(async () => {
      carol = await fresh();
      for (let n = 0; n < 5; n += 1) await create(carol, `note ${n}`);
      await create(carol, CARD, 'card_number');
    });

    const values = (answer: Answer): string[] =>
      (expectStatus(answer, 200) as RecordDto[]).map((record) => record.value);

    it('is a plain array, oldest first, of the own records', async () => {
      expect(values(await carol.get('/sensitive-data'))).toEqual([...[0, 1, 2, 3, 4].map((n) => `note ${n}`), CARD]);
      expect(values(await (await fresh()).get('/sensitive-data'))).toEqual([]);
    });

    it('can be narrowed to a type and masked', async () => {
      expect(values(await carol.get('/sensitive-data?data_type=card_number'))).toEqual([CARD]);
      expect(values(await carol.get('/sensitive-data?data_type=nothing'))).toEqual([]);
      const masked = values(await carol.get('/sensitive-data?view=masked'));
      expect(masked).toEqual([...Array<string>(5).fill('****'), `************${CARD.slice(-4)}`]);
      const one = (expectStatus(await carol.get('/sensitive-data?data_type=card_number'), 200) as RecordDto[])[0]!;
      expect(expectStatus(await carol.get(`/sensitive-data/${one.id}?view=masked`), 200).value).toMatch(
        /^\*{12}\d{4}$/,
      );
    });

    const nextOf = (answer: Answer): string | undefined =>
      /^<([^>]+)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1];

    it('goes on by the Link header until its end', async () => {
      const all: string[] = [];
      for (let path: string | undefined = '/sensitive-data?limit=2&data_type=note'; path !== undefined;) {
        const answer = await carol.get(path);
        expect(values(answer).length).toBeLessThanOrEqual(2);
        all.push(...values(answer));
        path = nextOf(answer);
      }
      expect(all).toEqual([0, 1, 2, 3, 4].map((n) => `note ${n}`));
    });

    it('refuses a cursor of another user, of another query, and a changed one', async () => {
      const next = nextOf(await carol.get('/sensitive-data?limit=2&data_type=note'))!;
      expectProblem(await alice.get(next), 400, 'invalid_cursor');
      expectProblem(await carol.get(next.replace('note', 'card_number')), 400, 'invalid_cursor');
      const cursor = new URLSearchParams(next.split('?')[1]).get('cursor')!;
      const changed = cursor.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
      expectProblem(await carol.get(next.replace(cursor, changed)), 400, 'invalid_cursor');
    });

    it.each([
      'limit=0',
      'limit=201',
      'limit=-1',
      'limit=1e2',
      'limit=x',
      'view=clearer',
      'data_type=no%20such',
      'sort=asc',
    ])('refuses the query %s', async (query) =>
      expectProblem(await carol.get(`/sensitive-data?${query}`), 400, 'validation_failed'),
    );
  });

  describe('a creation with an Idempotency-Key', () => {
    const keyed = (value: string, key: string): Promise<Answer> =>
      alice.post('/sensitive-data', { data_type: 'note', value }, { headers: { 'idempotency-key': key } });

    it('is made once, and its answer is given again', async () => {
      const key = `key-${Date.now()}`;
      const [first, again] = [await keyed('once', key), await keyed('once', key)];
      expect(expectStatus(again, 200)).toEqual(expectStatus(first, 200));
      const all = expectStatus(await alice.get('/sensitive-data'), 200) as RecordDto[];
      expect(all.filter((record) => record.value === 'once')).toHaveLength(1);
      expectProblem(await keyed('other', key), 422, 'idempotency_mismatch');
    });
  });

  describe('bad input', () => {
    it.each<[string, unknown]>([
      ['no data_type', { value: 'x' }],
      ['no value', { data_type: 'note' }],
      ['a field that is unknown', { data_type: 'note', value: 'x', user_id: 'me' }],
      ['an object as the value', { data_type: 'note', value: { $ne: null } }],
      ['an array as the value', { data_type: 'note', value: ['x'] }],
      ['a number as the value', { data_type: 'card_number', value: 4539148803436467 }],
      ['null as the value', { data_type: 'note', value: null }],
      ['an object as the type', { data_type: { $gt: '' }, value: 'x' }],
      ['a type with a space', { data_type: 'credit card', value: 'x' }],
      ['a type that begins with a digit', { data_type: '1note', value: 'x' }],
      ['a type of 65 characters', { data_type: 'a'.repeat(65), value: 'x' }],
      ['a type with a line break', { data_type: 'note\n', value: 'x' }],
      ['an array instead of an object', [{ data_type: 'note', value: 'x' }]],
    ])('with %s is refused and leaves nothing behind', async (_, body) => {
      const client = await fresh();
      expectProblem(await client.post('/sensitive-data', body), 400, 'validation_failed');
      const { id } = await create(client, 'kept');
      expectProblem(await client.put(`/sensitive-data/${id}`, body), 400, 'validation_failed');
      expect(expectStatus(await client.get('/sensitive-data'), 200)).toEqual([
        { id, data_type: 'note', value: 'kept' },
      ]);
    });

    it.each<[string, string, string]>([
      ['a card number of 15 digits', 'card_number', '453914880343646'],
      ['a card number of 17 digits', 'card_number', '45391488034364670'],
      ['a card number with spaces', 'card_number', '4539 1488 0343 6467'],
      ['a card number in other digits', 'card_number', '٤٥٣٩١٤٨٨٠٣٤٣٦٤٦٧'],
      ['an empty value', 'note', ''],
      ['a value of 1 MB', 'note', 'a'.repeat(1_000_000)],
    ])('as %s is refused, without saying what was sent', async (_, data_type, value) => {
      const answer = await post(alice, value, data_type);
      expectProblem(answer, 400, 'invalid_value');
      expect(answer.json.errors).toEqual([{ pointer: '/value', message: expect.any(String) }]);
      if (value.length > 1) expect(answer.text).not.toContain(value);
    });

    it('of more than 1 MiB is refused by its size', async () => {
      expectProblem(await post(alice, 'a'.repeat(2 * 1024 * 1024)), 413, 'too_large');
    });

    it('of half a surrogate pair is refused, since it is no text', async () => {
      expectProblem(await post(alice, 'x\ud83dx'), 400, 'invalid_json');
    });

    it('of broken JSON is refused', async () => {
      const options = { body: '{"data_type":', headers: { 'content-type': 'application/json' } };
      expectProblem(await alice.send('POST', '/sensitive-data', options), 400, 'invalid_json');
    });
  });

  it('wants a token for each route', async () => {
    const nobody = context.client.as(undefined);
    expectProblem(await post(nobody, 'x'), 401, 'unauthenticated');
    expectProblem(await nobody.get('/sensitive-data'), 401, 'unauthenticated');
    expectProblem(await nobody.get('/sensitive-data/x'), 401, 'unauthenticated');
    expectProblem(await nobody.put('/sensitive-data/x', {}), 401, 'unauthenticated');
    expectProblem(await nobody.delete('/sensitive-data/x'), 401, 'unauthenticated');
  });

  it('stands in no log', async () => {
    const marker = 'marker-of-a-value-4711';
    const { id } = await create(alice, marker);
    await alice.get(`/sensitive-data/${id}`);
    await post(alice, marker.repeat(50_000));
    expect(context.logs()).not.toContain(marker);
  });

  it('stands in MongoDB as the contract says', async () => {
    if (context.parts === undefined) return;
    const { id } = await create(alice, 'in the database');
    const connection = await createConnection(context.parts.secantus.url, { dbName: 'coffer_test' }).asPromise();
    try {
      const row = await connection.collection('sensitive_data').findOne({ _id: id as never });
      expect(row).toMatchObject({ data_type: 'note', user_id: expect.any(String), state: 'active' });
      expect(row!['encrypted_value']).toMatch(/^[0-9a-f]+$/);
      expect(JSON.stringify(row)).not.toContain('in the database');
    } finally {
      await connection.close();
    }
  });
}
