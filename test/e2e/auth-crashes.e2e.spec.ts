import { login, newPerson, signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { type Service, startService } from '../support/service';

/**
 * kill -9 at each point of a registration: the name is not lost, nobody is in without a key,
 * somebody is administrator.
 */
describe('A registration that is killed', () => {
  let service: Service | undefined;
  afterEach(() => service?.dispose());

  it.each([
    ['once the name is taken', 'registration.row-stored'],
    ['once the key is there', 'registration.key-stored'],
    ['once the first administrator is claimed', 'registration.role-claimed'],
  ])('%s leaves an account that its owner finishes by logging in', async (_when, failpoint) => {
    service = await startService({ env: { COFFER_FAILPOINT: failpoint } });
    const client = new Client(service.url);
    const person = newPerson();
    await expect(client.post('/register', person)).rejects.toThrow();
    await service.ended();
    await service.restart({ COFFER_FAILPOINT: undefined });
    const mine = client.as((await login(client, person)).access_token);
    expect((await mine.get('/me')).json).toMatchObject({ username: person.username, role: 'administrator' });
    expectStatus(await mine.post('/sensitive-data', { data_type: 'note', value: 'sealed' }), 200);
    expectProblem(await client.post('/register', person), 409, 'user_exists');
    expect((await (await signUp(client)).client.get('/me')).json.role).toBe('user');
  });

  it('gives its name to nobody else meanwhile', async () => {
    service = await startService({ env: { COFFER_FAILPOINT: 'registration.row-stored' } });
    const client = new Client(service.url);
    const person = newPerson();
    await expect(client.post('/register', person)).rejects.toThrow();
    await service.ended();
    await service.restart({ COFFER_FAILPOINT: undefined });
    const stranger = { ...newPerson(), username: person.username, password: 'Another-Horse-7' };
    expectProblem(await client.post('/register', stranger), 409, 'user_exists');
    const { username, password } = stranger;
    expectProblem(await client.post('/login', { username, password }), 401, 'login_failed');
  });
});

describe('A service that is killed', () => {
  let service: Service | undefined;
  afterEach(() => service?.dispose());

  it('remembers what was spent: failures, refresh tokens, sessions that ended', async () => {
    service = await startService();
    const client = new Client(service.url);
    const { person, client: session } = await signUp(client);
    const { username, password } = person;
    const ended = await login(client, person);
    await client.as(ended.access_token).post('/logout');
    const first = await login(client, person);
    const refresh = { refresh_token: first.refresh_token };
    const second = expectStatus(await client.post('/token/refresh', refresh), 200) as { refresh_token: string };
    const third = expectStatus(await client.post('/token/refresh', only(second)), 200) as { refresh_token: string };
    for (let count = 0; count < 5; count += 1) await client.post('/login', { username, password: 'Wrong-Horse-7' });
    await service.kill();
    await service.restart();
    expectProblem(await client.post('/login', { username, password }), 429, 'too_many_attempts');
    expectProblem(await client.as(ended.access_token).get('/me'), 401, 'invalid_session');
    expectStatus(await session.get('/me'), 200);
    expectProblem(await client.post('/token/refresh', refresh), 401, 'invalid_session');
    expectProblem(await client.post('/token/refresh', only(third)), 401, 'invalid_session');
  });
});

const only = ({ refresh_token }: { refresh_token: string }): { refresh_token: string } => ({ refresh_token });
