import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { SCHEMA } from '../../src/store';
import { signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { bareEnvironment, waitFor } from '../support/processes';
import { describeOnProfiles } from '../support/profiles';
import { type Service, startService } from '../support/service';
import { commandArgs, runTool, type ToolRun } from '../support/tools';

const keys = (service: Pick<Service, 'env' | 'dataDir'>, ...args: string[]): Promise<ToolRun> =>
  runTool(service, 'keys', ...args);

function startRotate(service: Service) {
  const env = { ...bareEnvironment(), ...service.env };
  const child = spawn(process.execPath, commandArgs('keys', 'rotate'), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => said.push(part.toString()));
  return { process: child, said: () => said.join(''), ended: once(child, 'close') };
}

describeOnProfiles('npm run keys', (context) => {
  beforeAll(async () => {
    for (let n = 0; n < 3; n += 1) await signUp(context.client);
  });

  it('rotates in the service, shows how far it is, and ends with it', async () => {
    const run = await keys(context.services[0]!, 'rotate');
    expect(run).toMatchObject({ code: 0, err: '' });
    const lines = run.out.trim().split('\n');
    expect(lines.slice(-2)).toEqual(['100 %  4 of 4', 'Everything is wrapped with master key version 2.']);
    expect(run.out).not.toContain('\u001b');
    const { items } = (await context.admin.get('/rotations')).json as { items: object[] };
    expect(items).toEqual([expect.objectContaining({ state: 'done', target_version: 2, done: 4, failed: 0 })]);
  }, 60_000);

  it('lists the rotations and says what there is', async () => {
    const listed = await keys(context.services[0]!, 'rotations');
    expect(listed).toMatchObject({ code: 0, err: '' });
    expect(listed.out).toMatch(/^\S+ {2}\S+Z {2}done {2}to version 2 {2}4 of 4 {2}0 failed\n$/);
    const said = await keys(context.services[0]!, 'status');
    expect(said).toMatchObject({ code: 0, err: '' });
    for (const part of ['version 2 is current', 'version 1, made', 'not in use', 'No rotation is under way.'])
      expect(said.out).toContain(part);
  }, 60_000);
});

describe('npm run keys', () => {
  let service: Service;
  let admin: Client;
  beforeAll(async () => {
    service = await startService();
    admin = (await signUp(new Client(service.url))).client;
  }, 60_000);
  afterAll(() => service.dispose());

  it('has a neighbour that finishes an upgrade, any number of times, and says what it did', async () => {
    for (let n = 0; n < 2; n += 1) {
      const run = await runTool(service, 'admin', 'finish-upgrade');
      const out = `Only releases of schema ${SCHEMA} or later serve this installation now.\n`;
      expect(run).toEqual({ code: 0, out, err: '' });
    }
    expect((await admin.get('/me')).status).toBe(200);
  }, 60_000);

  it('answers 2 and its usage to what it does not understand', async () => {
    const run = await keys(service, 'spin');
    expect(run).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Usage: coffer-server keys') });
  });

  it('says so before the first rotation', async () => {
    expect(await keys(service, 'rotations')).toMatchObject({ code: 0, out: 'The master key was never rotated.\n' });
  });

  it('leaves the rotation to the service where its watcher goes away, and follows it again', async () => {
    await service.stop();
    // With no service there is nobody to begin it: it waits.
    const watcher = startRotate(service);
    await waitFor('the first line', () => Promise.resolve(watcher.said().includes('0 of 0')));
    watcher.process.kill('SIGINT');
    expect(await watcher.ended).toEqual([1, null]);
    expect(watcher.said()).toContain('The rotation goes on in the service');

    const status = await keys(service, 'status');
    expect(status.out).toMatch(/Rotation \S+ {2}\S+Z {2}running {2}no version yet/);
    const follower = startRotate(service);
    await waitFor('the follower', () => Promise.resolve(follower.said().includes('0 of 0')));
    await service.restart();
    expect(await follower.ended).toEqual([0, null]);
    expect(follower.said()).toMatch(/^Following rotation \S+, which is under way\.\n/);
    expect(follower.said()).toContain('Everything is wrapped with master key version 2.');
    const { items } = expectStatus(await admin.get('/rotations'), 200) as { items: unknown[] };
    expect(items).toHaveLength(1);
  }, 120_000);
});
