import { DAY, MINUTE } from '../../src/kernel';
import { HttpApp, startHttpApp } from '../support/http-app';
import { SampleController } from './sample.controller';

let http: HttpApp;
let sample: SampleController;

beforeAll(async () => {
  http = await startHttpApp({ controllers: [SampleController] });
  sample = http.app.get(SampleController);
});
beforeEach(() => {
  sample.created = 0;
  http.clock.offset = 0;
});
afterAll(() => http.close());

let keys = 0;
const newKey = (): string => `key-${(keys += 1)}`;

interface Sending {
  readonly key: string;
  readonly user?: string;
  readonly name?: string;
  readonly path?: string;
}

const send = ({ key, user = 'ann', name = 'a', path = '/create' }: Sending): Promise<Response> =>
  fetch(`${http.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${user}`, 'idempotency-key': key, 'content-type': 'application/json' },
    ...(path === '/create' && { body: JSON.stringify({ name, count: 1, inner: { name: 'b' } }) }),
  });
const codeOf = async (answer: Response): Promise<string> => ((await answer.json()) as { code: string }).code;

it('runs a request once and gives its answer again, byte for byte', async () => {
  const key = newKey();
  const first = await send({ key });
  const second = await send({ key });
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(await second.text()).toBe(await first.text());
  expect(second.headers.get('location')).toBe('/things/1');
  expect(sample.created).toBe(1);
});

it('takes a key quoted or bare as the same key', async () => {
  await send({ key: '"same-key"' });
  await send({ key: 'same-key' });
  expect(sample.created).toBe(1);
});

it('takes the same members in another order as the same request', async () => {
  const key = newKey();
  await send({ key });
  const body = '{"inner":{"name":"b"},"count":1,"name":"a"}';
  const headers = { authorization: 'Bearer ann', 'idempotency-key': key, 'content-type': 'application/json' };
  const answer = await fetch(`${http.url}/create`, { method: 'POST', headers, body });
  expect([answer.status, sample.created]).toEqual([201, 1]);
});

it('refuses a key that was sent with another body', async () => {
  const key = newKey();
  await send({ key });
  const answer = await send({ key, name: 'other' });
  expect([answer.status, await codeOf(answer)]).toEqual([422, 'idempotency_mismatch']);
});

it('keeps the keys of two users apart', async () => {
  const key = newKey();
  await send({ key });
  const answer = await send({ key, user: 'bob' });
  expect([answer.status, sample.created]).toEqual([201, 2]);
});

it('refuses a second request while the first runs, and answers it afterwards', async () => {
  const key = newKey();
  const first = send({ key, name: 'wait' });
  let second = await send({ key, name: 'wait' });
  while (second.status !== 409) second = await send({ key, name: 'wait' });
  expect(await codeOf(second)).toBe('idempotency_running');
  expect(second.headers.has('retry-after')).toBe(true);
  sample.release();
  expect((await first).status).toBe(201);
  expect((await send({ key, name: 'wait' })).status).toBe(201);
  expect(sample.created).toBe(1);
});

it('runs one of many at the same time', async () => {
  const key = newKey();
  const statuses = (await Promise.all(Array.from({ length: 20 }, () => send({ key })))).map((answer) => answer.status);
  expect(sample.created).toBe(1);
  expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
});

it('gives the key back after a refusal', async () => {
  const key = newKey();
  expect((await send({ key, name: 'refuse' })).status).toBe(409);
  expect(await codeOf(await send({ key, name: 'refuse' }))).toBe('conflict');
  expect((await send({ key, name: 'fine' })).status).toBe(201);
});

it('lets a claim lapse whose runner is gone', async () => {
  const key = newKey();
  const stuck = send({ key, name: 'wait' });
  let answer = await send({ key, name: 'wait' });
  while (answer.status !== 409) answer = await send({ key, name: 'wait' });
  const release = sample.release;
  http.clock.offset = 2 * MINUTE;
  const taken = send({ key, name: 'wait' });
  while (sample.release === release) await new Promise(setImmediate);
  sample.release();
  expect((await taken).status).toBe(201);
  release();
  await stuck;
});

it('forgets a key after a day', async () => {
  const key = newKey();
  await send({ key });
  http.clock.offset = DAY + MINUTE;
  await send({ key });
  expect(sample.created).toBe(2);
});

it('does not give a secret twice', async () => {
  const key = newKey();
  expect((await send({ key, path: '/create-secret' })).status).toBe(201);
  const again = await send({ key, path: '/create-secret' });
  expect([again.status, await codeOf(again)]).toEqual([409, 'conflict']);
  expect(sample.created).toBe(1);
});

it.each(['""', 'x'.repeat(256), 'two words', '"open', 'tab\there'])('refuses the key %j', async (key) => {
  const answer = await send({ key });
  expect([answer.status, await codeOf(answer)]).toEqual([400, 'validation_failed']);
  expect(sample.created).toBe(0);
});

it('takes a key of 255 characters', async () => {
  expect((await send({ key: 'x'.repeat(255) })).status).toBe(201);
});
