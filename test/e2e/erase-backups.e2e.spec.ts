import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Person, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { operatorToken } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { type CommandName, runTool } from '../support/tools';

const NOTE = 'what an erased person wrote';

interface Receipt {
  readonly tier: string;
  readonly user_key: { readonly wrapped_by: readonly { readonly version: number; readonly state: string }[] };
  readonly not_covered: readonly string[];
}

interface Someone {
  readonly person: Person;
  readonly client: Client;
  readonly id: string;
  readonly note: string;
}

/**
 * One installation with an administrator and two others, a backup of it, and the erase of one of
 * the two after the backup.
 */
class Installation {
  #service: Service | undefined;
  admin!: Client;
  gone!: Someone;
  stays!: Someone;
  readonly folder = mkdtempSync(join(tmpdir(), 'coffer-tiers-'));
  readonly copy = join(this.folder, 'copy');

  constructor(readonly env: Readonly<Record<string, string>>) {}

  get service(): Service {
    return this.#service!;
  }

  async backedUpAndErased(): Promise<Receipt> {
    this.#service = await startService({ env: this.env });
    const client = new Client(this.service.url);
    this.admin = (await signUp(client)).client;
    [this.gone, this.stays] = [await someone(client), await someone(client)];
    await this.tool('backup', this.copy);
    const answer = expectStatus(await this.gone.client.delete('/me'), 200) as { receipt: Receipt };
    return answer.receipt;
  }

  async rotateAndRetire(): Promise<void> {
    const { rotation } = expectStatus(await this.admin.post('/rotate-master-key'), 200) as { rotation: { id: string } };
    await waitFor('the rotation', async () => {
      const { state } = (await this.admin.get(`/rotations/${rotation.id}`)).json as { state: string };
      return state === 'done';
    });
    expectStatus(await this.admin.post('/keys/versions/1/retire'), 200);
  }

  async receiptNow(): Promise<Receipt> {
    return (JSON.parse(await this.tool('receipts', 'issue', this.gone.id)) as { receipt: Receipt }).receipt;
  }

  async tool(name: CommandName, ...args: string[]): Promise<string> {
    const { code, out, err } = await runTool(this.service, name, ...args);
    if (code !== 0) throw new Error(err);
    return out;
  }

  /**
   * What the backup gives of a person's note: its text, the status of a refusal, or that it does
   * not even start.
   */
  async restored({ person, note }: Someone, prepare?: (copy: string) => void): Promise<string> {
    const copy = join(this.folder, `restored-${Math.random()}`);
    cpSync(this.copy, copy, { recursive: true });
    prepare?.(copy);
    const service = await startService({ env: this.env, dataDir: copy, ready: false });
    try {
      return await waitFor('the restored service to serve or to be refused', async () => {
        const probe = await fetch(`${service.url}/readyz`).catch(() => undefined);
        if (probe?.status === 200) return noteOf(new Client(service.url), person, note);
        return service.logs().includes('does not open the system key') ? 'no start' : undefined;
      });
    } finally {
      await service.dispose();
    }
  }

  async dispose(): Promise<void> {
    await this.#service?.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function someone(client: Client): Promise<Someone> {
  const { person, client: own } = await signUp(client);
  const { id } = expectStatus(await own.get('/me'), 200) as { id: string };
  const made = expectStatus(await own.post('/sensitive-data', { data_type: 'note', value: NOTE }), 200);
  return { person, client: own, id, note: (made as { id: string }).id };
}

async function noteOf(client: Client, { username, password }: Person, note: string): Promise<string> {
  const entered = await client.post('/login', { username, password });
  if (entered.status !== 200) return `login ${entered.status}`;
  const { access_token: token } = entered.json as { access_token: string };
  const answer = await client.as(token).get(`/sensitive-data/${note}`);
  return answer.status === 200 ? (answer.json as { value: string }).value : `read ${answer.status}`;
}

let installation: Installation;
afterEach(() => installation.dispose());

const keyring = (): ((copy: string) => void) => {
  const today = join(installation.service.dataDir, 'keyring.json');
  return (copy) => cpSync(today, join(copy, 'keyring.json'));
};
const states = ({ user_key: { wrapped_by } }: Receipt): string[] => wrapped_by.map(({ state }) => state);

describe('A backup from before an erase, in the default configuration', () => {
  it('opens until the version that wrapped the key is retired, and then with a copy of the former keyring alone', async () => {
    installation = new Installation({});
    const first = await installation.backedUpAndErased();
    expect([first.tier, states(first)]).toEqual(['live', ['opens']]);
    expect(await installation.restored(installation.gone, keyring())).toBe(NOTE);

    await installation.rotateAndRetire();
    const later = await installation.receiptNow();
    expect([later.tier, states(later)]).toEqual(['backups', ['destroyed']]);
    expect(await installation.restored(installation.gone, keyring())).toBe('no start');
    expect(later.not_covered.join()).toContain('copies of the keyring file');
    expect(await installation.restored(installation.gone)).toBe(NOTE);
  }, 120_000);
});

describeWithPart('openbao', 'A backup of the store from before an erase', () => {
  let bao: Bao;
  beforeEach(async () => {
    bao = await startOpenBao();
  });
  afterEach(() => bao.stop());

  const vault = (): Record<string, string> => ({
    VAULT_ADDR: bao.address,
    VAULT_ROLE_ID: bao.roleId,
    VAULT_SECRET_ID: bao.secretId,
  });

  it('opens with Transit while a version is only disabled, since an operator can undo that, and not once it is trimmed', async () => {
    installation = new Installation({ ...vault(), MASTER_KEY: 'transit' });
    expect((await installation.backedUpAndErased()).tier).toBe('live');
    await installation.rotateAndRetire();
    const disabled = await installation.receiptNow();
    expect([disabled.tier, states(disabled)]).toEqual(['live', ['disabled']]);
    expect(await installation.restored(installation.gone)).toBe('no start');
    await bao.request('POST', 'transit/keys/coffer-master/config', { min_decryption_version: 1 });
    expect(await installation.restored(installation.gone)).toBe(NOTE);

    const disable = { min_decryption_version: 2, min_encryption_version: 2 };
    await bao.request('POST', 'transit/keys/coffer-master/config', disable);
    await bao.request('POST', 'transit/keys/coffer-master/trim', { min_available_version: 2 });
    const trimmed = await installation.receiptNow();
    expect([trimmed.tier, states(trimmed)]).toEqual(['backups', ['destroyed']]);
    expect(trimmed.not_covered.join()).toContain('snapshots of Vault');
    const undo = bao.request('POST', 'transit/keys/coffer-master/config', { min_decryption_version: 1 });
    await expect(undo).rejects.toThrow();
    expect(await installation.restored(installation.gone)).toBe('no start');
  }, 120_000);

  it('opens with the master key in KV with an earlier version of its document, until an operator has destroyed that', async () => {
    installation = new Installation({ ...vault(), MASTER_KEY: 'kv' });
    expect((await installation.backedUpAndErased()).tier).toBe('live');
    expect(await installation.restored(installation.gone)).toBe(NOTE);
    await installation.rotateAndRetire();
    const disabled = await installation.receiptNow();
    expect([disabled.tier, states(disabled)]).toEqual(['live', ['disabled']]);
    expect(await installation.restored(installation.gone)).toBe('no start');

    const token = join(installation.folder, 'operator-token');
    writeFileSync(token, await operatorToken(bao));
    await installation.tool('keys', 'trim', '1', '--token-file', token);
    const trimmed = await installation.receiptNow();
    expect([trimmed.tier, states(trimmed)]).toEqual(['backups', ['destroyed']]);
    expect(await installation.restored(installation.gone)).toBe('no start');
  }, 120_000);

  it('opens nothing of that account at once with user keys in Vault, and all of the others', async () => {
    installation = new Installation({ ...vault(), MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' });
    const receipt = await installation.backedUpAndErased();
    expect([receipt.tier, states(receipt)]).toEqual(['backups', ['opens']]);
    expect(receipt.not_covered.join()).toMatch(/snapshots of Vault.*wrapped user key/);
    expect(await installation.restored(installation.gone)).toMatch(/^(login|read) (401|503)$/);
    expect(await installation.restored(installation.stays)).toBe(NOTE);
  }, 120_000);
});
