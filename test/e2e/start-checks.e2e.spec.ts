import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login, register, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { describeWithParts, startOpenBao, startS3, startSecantus } from '../support/parts';
import { type Service, startService } from '../support/service';
import { testSettings, useRealDeadlines } from '../support/settings';
import { type CommandName, runTool } from '../support/tools';

useRealDeadlines();

jest.setTimeout(180_000);

const PEPPER = 'the pepper that this installation began with';
const OTHER_PEPPER = 'another pepper, which nobody was told of before';

const running: Service[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.dispose()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

type Env = Readonly<Record<string, string>>;

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-start-'));
  folders.push(folder);
  return folder;
}

async function start(options: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService(options);
  running.push(service);
  return service;
}

/** What a start on this folder says when it is refused; undefined where it is not. */
async function refusal(dataDir: string, env: Env): Promise<string> {
  const service = await start({ dataDir, env, ready: false });
  expect(await service.ended()).toBe(1);
  return service.logs().trim().split('\n').at(-1) ?? '';
}

async function exitCode(dataDir: string, env: Env, command: CommandName, ...args: string[]): Promise<number | null> {
  const environment = { ...testSettings(env), ...env, DATA_DIR: dataDir };
  return (await runTool({ env: environment, dataDir }, command, ...args)).code;
}

const NOT_THE_PLACE = /^coffer: .* is not where the blobs of this installation lie.*`npm run blobs -- adopt`/;

describe('a start without the blobs of its installation', () => {
  it('is refused, makes nothing, and goes on when the folder is back', async () => {
    const dataDir = await newFolder();
    const service = await start({ dataDir });
    const { client } = await signUp(new Client(service.url));
    const { id } = expectStatus(await client.upload('kept.txt', 'a content'), 201) as { id: string };
    await service.stop();

    const [blobs, away] = [join(dataDir, 'blobs'), join(dataDir, 'unmounted')];
    await rename(blobs, away);
    expect(await refusal(dataDir, {})).toMatch(NOT_THE_PLACE);
    await mkdir(blobs);
    expect(await refusal(dataDir, {})).toMatch(NOT_THE_PLACE);
    expect(await readdir(blobs)).toEqual([]);

    await rm(blobs, { recursive: true });
    await rename(away, blobs);
    await service.restart();
    expect((await client.get(`/files/${id}/content`)).text).toBe('a content');
  });

  it('is let in once the operator has adopted what is there', async () => {
    const dataDir = await newFolder();
    const service = await start({ dataDir });
    await service.stop();
    await rm(join(dataDir, 'blobs'), { recursive: true });
    expect(await refusal(dataDir, {})).toMatch(NOT_THE_PLACE);
    expect(await exitCode(dataDir, {}, 'blobs', 'adopt')).toBe(0);
    await service.restart();
    await register(new Client(service.url));
  });

  it('is no fault of a first start that died when it had marked its folder', async () => {
    const dataDir = await newFolder();
    const env = { COFFER_FAILPOINT: 'start.blobs-claimed' };
    const service = await start({ dataDir, env, ready: false });
    expect(await service.ended()).not.toBe(0);
    await register(new Client((await start({ dataDir })).url));
  });
});

describeWithParts(['moto'], 'a start with another bucket than that of the blobs', () => {
  it('is refused, whether that one is empty or not there', async () => {
    const s3 = await startS3();
    try {
      const dataDir = await newFolder();
      const env = { BLOB_STORE: 's3', ...s3.env() };
      const service = await start({ dataDir, env });
      await service.stop();
      expect(await refusal(dataDir, { ...env, S3_BUCKET: 'not-there-yet' })).toMatch(NOT_THE_PLACE);
      const other = await newFolder();
      await (await start({ dataDir: other, env: { ...env, S3_BUCKET: 'of-another' } })).stop();
      expect(await refusal(dataDir, { ...env, S3_BUCKET: 'of-another' })).toContain('blobs of another installation');
      await service.restart();
    } finally {
      await s3.stop();
    }
  });
});

describeWithParts(['secantus', 'openbao'], 'a replica', () => {
  it('with a folder of its own for blobs is refused, and makes nothing in it', async () => {
    const [secantus, bao] = await Promise.all([startSecantus(), startOpenBao()]);
    try {
      const vault = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
      const env = { MONGODB_URL: secantus.url, PEPPER, JWT_SECRET: PEPPER, ...vault };
      await start({ dataDir: await newFolder(), env });
      const other = await newFolder();
      expect(await refusal(other, env)).toMatch(NOT_THE_PLACE);
      expect(await readdir(other)).not.toContain('blobs');
    } finally {
      await Promise.all([secantus.stop(), bao.stop()]);
    }
  });
});

describe('a start with another PEPPER', () => {
  const refused = /^coffer: PEPPER is not the one of this installation.*PEPPER_PREVIOUS/;

  it('is refused, and taken where PEPPER_PREVIOUS is the former one', async () => {
    const dataDir = await newFolder();
    const service = await start({ dataDir, env: { PEPPER } });
    const client = new Client(service.url);
    const person = await register(client);
    await service.stop();
    const said = await refusal(dataDir, { PEPPER: OTHER_PEPPER });
    expect(said).toMatch(refused);
    expect(said).not.toContain(OTHER_PEPPER);
    expect(await refusal(dataDir, { PEPPER: OTHER_PEPPER, PEPPER_PREVIOUS: 'neither' })).toMatch(refused);

    await service.restart({ PEPPER: OTHER_PEPPER, PEPPER_PREVIOUS: PEPPER });
    await login(client, person);
    // A replica that has not been given the new one yet, beside the first one that has.
    const late = await start({ dataDir, env: { PEPPER } });
    await late.stop();
    // The change is over: the former one is wrong from now on.
    await service.restart({ PEPPER_PREVIOUS: undefined });
    await login(client, person);
    expect(await refusal(dataDir, { PEPPER })).toMatch(refused);
  });

  it('is let in once the operator has said that the former one is lost', async () => {
    const dataDir = await newFolder();
    const service = await start({ dataDir, env: { PEPPER } });
    await service.stop();
    const env = { PEPPER: OTHER_PEPPER };
    expect(await exitCode(dataDir, env, 'admin', 'revoke', 'nobody')).toBe(1);
    expect(await exitCode(dataDir, env, 'admin', 'replace-pepper')).toBe(0);
    await service.restart(env);
    expect(await refusal(dataDir, { PEPPER })).toMatch(refused);
  });
});
