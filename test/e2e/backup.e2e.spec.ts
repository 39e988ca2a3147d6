import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login, type Person, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { runTool } from '../support/tools';

describe('A backup of the embedded store', () => {
  const services: Service[] = [];
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'coffer-backup-'));
  });
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.dispose()));
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (options: Parameters<typeof startService>[0] = {}): Promise<Service> => {
    const service = await startService(options);
    services.push(service);
    return service;
  };
  const backup = async (service: Service, ...args: string[]): Promise<{ code: number | null; said: string }> => {
    const { code, out, err } = await runTool(service, 'backup', ...args);
    return { code, said: out + err };
  };
  const store = async (client: Client, value: string): Promise<string> => {
    const made = expectStatus(await client.post('/sensitive-data', { data_type: 'note', value }), 200);
    return (made as { id: string }).id;
  };
  /** The drill: the copy is the data folder of a new host. */
  const restore = async (copy: string, person: Person): Promise<Client> => {
    const client = new Client((await start({ dataDir: copy })).url);
    return client.as((await login(client, person)).access_token);
  };

  it('taken under load has, restored to an empty folder, all that was acknowledged before it', async () => {
    const service = await start();
    const { person, client } = await signUp(new Client(service.url));
    const before = await Promise.all(Array.from({ length: 20 }, (_, at) => store(client, `before ${at}`)));
    const file = expectStatus(await client.upload('before.bin', Buffer.alloc(300_000, 'b')), 201) as { id: string };
    let done = false;
    const write = async (writer: number): Promise<void> => {
      for (let at = 0; !done; at += 1) {
        await store(client, `during ${writer} ${at}`);
        expectStatus(await client.upload(`${writer}-${at}.bin`, Buffer.alloc(20_000, 'd')), 201);
      }
    };
    const writing = [write(1), write(2)];
    const copy = join(folder, 'copy');
    const taken = await backup(service, copy);
    done = true;
    await Promise.all(writing);
    expect(taken).toMatchObject({ code: 0 });
    await service.stop();

    const restored = await restore(copy, person);
    for (const [at, id] of before.entries()) {
      expect((await restored.get(`/sensitive-data/${id}`)).json).toMatchObject({ value: `before ${at}` });
    }
    expect((await restored.get(`/files/${file.id}/content`)).bytes.equals(Buffer.alloc(300_000, 'b'))).toBe(true);
    const { items } = expectStatus(await restored.get('/files?limit=200'), 200) as { items: { id: string }[] };
    for (const { id } of items) expectStatusOf(await restored.head(`/files/${id}/content`));
    await store(restored, 'after');
  }, 90_000);

  it('from before a rotation opens with its own keyring, and with the one of today', async () => {
    const service = await start();
    const { person, client } = await signUp(new Client(service.url));
    const id = await store(client, 'older than the rotation');
    const copy = join(folder, 'copy');
    expect(await backup(service, copy)).toMatchObject({ code: 0 });
    const { rotation } = expectStatus(await client.post('/rotate-master-key'), 200) as { rotation: { id: string } };
    await waitFor('the rotation', async () => {
      const { state } = (await client.get(`/rotations/${rotation.id}`)).json as { state: string };
      return state === 'done';
    });
    const later = join(folder, 'later');
    expect(await backup(service, later)).toMatchObject({ code: 0 });
    await service.stop();

    const own = await restore(copy, person);
    expect((await own.get(`/sensitive-data/${id}`)).json).toMatchObject({ value: 'older than the rotation' });
    await services.pop()!.stop();
    // The keyring of today in the place of the backup's own.
    copyFileSync(join(later, 'keyring.json'), join(copy, 'keyring.json'));
    const today = await restore(copy, person);
    expect((await today.get(`/sensitive-data/${id}`)).json).toMatchObject({ value: 'older than the rotation' });
  }, 90_000);

  it('is for its owner alone to read', async () => {
    const service = await start();
    const copy = join(folder, 'copy');
    await backup(service, copy);
    expect(statSync(copy).mode & 0o077).toBe(0);
    expect(statSync(join(copy, 'keyring.json')).mode & 0o077).toBe(0);
  });

  it('is refused where something lies already, and says why', async () => {
    const service = await start();
    const refused = await backup(service, service.dataDir);
    expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('is not empty') });
    expect((await backup(service)).code).toBe(2);
  });
});

/** There, and its blob with it. */
const expectStatusOf = (answer: { readonly status: number }): void => expect(answer.status).toBe(200);
