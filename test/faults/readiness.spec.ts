import { setTimeout as sleep } from 'node:timers/promises';
import { signUp } from '../support/accounts';
import { Client } from '../support/client';
import {
  type Bao,
  describeWithParts,
  type S3Server,
  type Secantus,
  startOpenBao,
  startS3,
  startSecantus,
} from '../support/parts';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

interface Parts {
  readonly store: Secantus;
  readonly kms: Bao;
  readonly blobs: S3Server;
}

describeWithParts(['secantus', 'openbao', 'moto'], 'While parts of a service do not answer, /readyz', () => {
  let parts: Parts;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    const [store, kms, blobs] = await Promise.all([startSecantus(), startOpenBao(), startS3()]);
    parts = { store, kms, blobs };
    const vault = { VAULT_ADDR: kms.address, VAULT_ROLE_ID: kms.roleId, VAULT_SECRET_ID: kms.secretId };
    const env = { MONGODB_URL: store.url, ...vault, USER_KEY_STORE: 'vault', BLOB_STORE: 's3', ...blobs.env() };
    service = await startService({ env });
    client = new Client(service.url);
    await signUp(client);
  }, 120_000);
  afterAll(async () => {
    await service.dispose();
    await Promise.all(Object.values(parts).map((part: Parts[keyof Parts]) => part.stop()));
  });

  const ready = (): Promise<unknown> =>
    waitFor('the service to be ready', async () => (await client.get('/readyz')).status === 200);

  const askedWhileDown = async (names: readonly (keyof Parts)[]): Promise<unknown[]> => {
    for (const name of names) parts[name].pause();
    // A process stops when it is scheduled next; until then it may answer once more.
    await sleep(250);
    const answers: unknown[] = [];
    try {
      // The first probes meet a silence, later ones whatever the process has concluded from it.
      for (let round = 0; round < 3; round += 1) {
        const { status, json } = await client.get('/readyz');
        answers.push({ status, code: json.code, down: json.down });
        await sleep(700);
      }
    } finally {
      for (const name of names) parts[name].resume();
    }
    return answers;
  };

  it.each<[readonly (keyof Parts)[], string]>([
    [['store'], 'store_unavailable'],
    [['kms'], 'kms_unavailable'],
    [['blobs'], 'store_unavailable'],
    [['store', 'kms'], 'store_unavailable'],
    [['kms', 'blobs'], 'kms_unavailable'],
  ])('names %j and nothing else', async (names, code) => {
    await ready();
    const answer = { status: 503, code, down: names };
    expect(await askedWhileDown(names)).toEqual([answer, answer, answer]);
    await ready();
  });
});
