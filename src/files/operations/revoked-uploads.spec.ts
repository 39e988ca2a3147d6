import { Readable } from 'node:stream';
import { signUp } from '../../../test/support/accounts';
import { type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { Users } from '../../users';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
}, 120_000);
afterAll(() => coffer.close());

interface Shown {
  readonly id: string;
}

/** A body whose first byte is on its way when `meanwhile` runs, and which ends after that. */
function interrupted(meanwhile: () => Promise<unknown>): Readable {
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(300_000, 'a');
    await meanwhile();
    yield Buffer.from('the end');
  }
  return Readable.from(body());
}

const disable = async (client: Client): Promise<void> => {
  const { id } = expectStatus(await client.get('/me'), 200) as Shown;
  await coffer.get(Users).change(id, (user) => ({ ...user, state: 'disabled' }));
};
const enable = (id: string) => coffer.get(Users).change(id, (user) => ({ ...user, state: 'active' }));
const names = async (client: Client): Promise<unknown[]> =>
  (expectStatus(await client.get('/files'), 200) as { items: { name: string | null }[] }).items.map(({ name }) => name);

/** The owner, and whoever else holds a session of the account. */
async function two(): Promise<{ owner: Client; thief: Client }> {
  const { person, client: owner } = await signUp(coffer.client);
  const { username, password } = person;
  const { access_token } = (await coffer.client.post('/login', { username, password })).json as {
    access_token: string;
  };
  return { owner, thief: coffer.client.as(access_token) };
}

describe('An upload whose sender is shut out while it comes', () => {
  it('leaves no file where the session is ended', async () => {
    const { owner, thief } = await two();
    const late = await thief.uploadRaw(
      'late',
      interrupted(() => owner.delete('/sessions')),
    );
    expectProblem(late, 401, 'invalid_session');
    expect(await names(owner)).toEqual([]);
    expectStatus(
      await owner.uploadRaw(
        'mine',
        interrupted(() => Promise.resolve()),
      ),
      201,
    );
  });

  it('leaves no file where the account is disabled', async () => {
    const { owner } = await two();
    const { id } = expectStatus(await owner.get('/me'), 200) as Shown;
    const late = await owner.uploadRaw(
      'late',
      interrupted(() => disable(owner)),
    );
    expectProblem(late, 403, 'account_disabled');
    await enable(id);
    expect(await names(owner)).toEqual([]);
  });

  it('replaces no content where the session is ended', async () => {
    const { owner, thief } = await two();
    const { id } = expectStatus(await owner.upload('kept', 'as it was'), 201) as Shown;
    const headers = { 'content-type': 'application/octet-stream', 'if-match': '*' };
    const body = interrupted(() => owner.delete('/sessions'));
    expectProblem(await thief.send('PUT', `/files/${id}/content`, { body, headers }), 401, 'invalid_session');
    expect((await owner.get(`/files/${id}/content`)).text).toBe('as it was');
  });

  it('brings a resumable one no further where the session is ended', async () => {
    const { owner, thief } = await two();
    const tus = { 'tus-resumable': '1.0.0' };
    const made = await owner.send('POST', '/uploads', {
      headers: {
        ...tus,
        'upload-length': '300007',
        'upload-metadata': `filename ${Buffer.from('a').toString('base64')}`,
      },
    });
    const path = new URL(made.headers['location']!, 'http://localhost').pathname;
    const headers = { ...tus, 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' };
    const body = interrupted(() => owner.delete('/sessions'));
    expect((await thief.send('PATCH', path, { body, headers })).status).toBe(401);
    expect((await owner.head(path, { headers: tus })).headers['upload-offset']).toBe('0');
    expect(await names(owner)).toEqual([]);
  });

  it('into a drop box leaves no file where its owner ended the link', async () => {
    const { owner } = await two();
    const made = expectStatus(await owner.post('/upload-links', {}), 200) as Shown & { url: string };
    const { hash } = new URL(made.url);
    const opened = await coffer.client.post('/upload-links/open', { token: hash.slice(1) });
    const sender = coffer.client.as((expectStatus(opened, 200) as { ticket: string }).ticket);
    const late = await sender.uploadRaw(
      'late',
      interrupted(() => owner.delete(`/upload-links/${made.id}`)),
    );
    expectProblem(late, 410, 'link_expired');
    expect(await names(owner)).toEqual([]);
  });

  it('is not hindered by a token that was replaced or ran out meanwhile', async () => {
    const { person, client } = await signUp(coffer.client);
    let fresh = client;
    const stored = await client.uploadRaw(
      'long',
      interrupted(async () => {
        const { access_token } = (await client.post('/step-up', { password: person.password })).json as {
          access_token: string;
        };
        fresh = client.as(access_token);
      }),
    );
    expectStatus(stored, 201);
    expect(await names(fresh)).toEqual(['long']);
  });
});
