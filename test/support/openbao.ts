import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partProgram } from './installed';
import { freePorts, type Managed, startProcess, waitFor } from './processes';
import { projectRoot } from './root';

/**
 * A real OpenBao on a loopback port: raft storage, initialised with one share, unsealed, set up as
 * deploy/vault/ sets up an installation's.
 */
export interface Bao {
  readonly address: string;
  /** The operator of the tests; the service never gets it. */
  readonly rootToken: string;
  readonly roleId: string;
  readonly secretId: string;
  readonly policyName: string;
  /**
   * One call of the HTTP API as the operator (or with `token`), path without `/v1/`. Throws on a
   * status of 400 and above.
   */
  request<T = BaoAnswer>(method: string, path: string, body?: unknown, token?: string): Promise<T>;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `restart`. */
  kill(): Promise<void>;
  /** The same data on the same port again, unsealed. */
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
}

export interface BaoAnswer {
  readonly data: Record<string, unknown>;
}

export interface BaoOptions {
  /** Fields of the AppRole role beside its policy, such as `token_ttl` and `token_max_ttl`. */
  readonly role?: Readonly<Record<string, unknown>>;
  /** A policy in place of the shipped one. */
  readonly policy?: string;
}

const POLICY_NAME = 'coffer';
const POLICY_FILE = join(projectRoot(), 'deploy/vault/coffer-policy.hcl');

export async function startOpenBao(options: BaoOptions = {}): Promise<Bao> {
  const bare = await startBareBao();
  const { address } = bare;
  const secrets = await initialise(address);
  const request = caller(address, secrets.rootToken);
  const unseal = () => unsealAt(address, secrets.unsealKey);
  await unseal();
  const role = await setUp(request, options);
  return {
    ...bare,
    rootToken: secrets.rootToken,
    ...role,
    policyName: POLICY_NAME,
    request,
    seal: () => request<unknown>('PUT', 'sys/seal').then(() => undefined),
    unseal,
    restart: async () => {
      await bare.restart();
      await unseal();
    },
  };
}

/** A server that nobody has initialised yet. `restart` leaves it sealed. */
export type BareBao = Pick<Bao, 'address' | 'stop' | 'kill' | 'restart' | 'pause' | 'resume'>;

export async function startBareBao(): Promise<BareBao> {
  const dataDir = await mkdtemp(join(tmpdir(), 'coffer-openbao-'));
  const [port, clusterPort] = await freePorts(2);
  const address = `http://127.0.0.1:${port!}`;
  await writeConfig(dataDir, port!, clusterPort!);
  let server = await launch(dataDir, address);
  return {
    address,
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
    kill: () => server.kill(),
    restart: async () => {
      await server.kill();
      server = await launch(dataDir, address);
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
  };
}

async function writeConfig(dataDir: string, port: number, clusterPort: number): Promise<void> {
  await mkdir(join(dataDir, 'raft'));
  const config = `
storage "raft" {
  path    = "${join(dataDir, 'raft')}"
  node_id = "coffer-test"
  performance_multiplier = 1
}
listener "tcp" {
  address         = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_disable     = true
}
api_addr      = "http://127.0.0.1:${port}"
cluster_addr  = "http://127.0.0.1:${clusterPort}"
disable_mlock = true
`;
  await writeFile(join(dataDir, 'server.hcl'), config);
}

async function launch(dataDir: string, address: string): Promise<Managed> {
  const server = startProcess(partProgram('bao'), ['server', `-config=${join(dataDir, 'server.hcl')}`], {
    cwd: dataDir,
    env: { HOME: dataDir },
  });
  await waitFor('OpenBao to answer', async () => {
    if (!server.running()) throw new Error(`OpenBao ended: ${server.output()}`);
    return (await health(address)) !== undefined;
  });
  return server;
}

/** 200 active, 429 standby, 501 not initialised, 503 sealed; undefined where nothing listens. */
async function health(address: string): Promise<number | undefined> {
  try {
    return (await fetch(`${address}/v1/sys/health`)).status;
  } catch {
    return undefined;
  }
}

async function initialise(address: string): Promise<{ rootToken: string; unsealKey: string }> {
  const body = { secret_shares: 1, secret_threshold: 1 };
  const answer = await call<{ root_token: string; keys_base64: string[] }>(`${address}/v1/sys/init`, 'PUT', body);
  return { rootToken: answer.root_token, unsealKey: answer.keys_base64[0]! };
}

async function unsealAt(address: string, key: string): Promise<void> {
  await call(`${address}/v1/sys/unseal`, 'PUT', { key });
  await waitFor('OpenBao to become active', async () => (await health(address)) === 200);
}

function caller(address: string, rootToken: string): Bao['request'] {
  return (method, path, body, token = rootToken) => call(`${address}/v1/${path}`, method, body, token);
}

async function call<T>(url: string, method: string, body?: unknown, token?: string): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: token === undefined ? {} : { 'X-Vault-Token': token },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 400) throw new Error(`${method} ${new URL(url).pathname}: ${response.status} ${text}`);
  return (text === '' ? {} : JSON.parse(text)) as T;
}

async function setUp(request: Bao['request'], options: BaoOptions): Promise<{ roleId: string; secretId: string }> {
  await request('POST', 'sys/mounts/transit', { type: 'transit' });
  // The shipped policy does not let the service make it; deploy/vault/init.sh does.
  await request('POST', 'transit/keys/coffer-master', { type: 'aes256-gcm96', derived: true });
  await request('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  await request('POST', 'sys/auth/approle', { type: 'approle' });
  await request('POST', 'transit/keys/coffer-master', { type: 'aes256-gcm96', derived: true });
  await request('PUT', `sys/policies/acl/${POLICY_NAME}`, { policy: options.policy ?? shippedPolicy() });
  const role = { token_policies: [POLICY_NAME], token_ttl: '1h', token_max_ttl: '24h', ...options.role };
  await request('POST', 'auth/approle/role/coffer', role);
  const roleId = await request<{ data: { role_id: string } }>('GET', 'auth/approle/role/coffer/role-id');
  const secretId = await request<{ data: { secret_id: string } }>('POST', 'auth/approle/role/coffer/secret-id', {});
  await waitFor('the kv mount to be upgraded', async () => mountServes(request));
  if (options.policy === undefined)
    await request('POST', 'kv/metadata/master_key', { max_versions: 1_000_000, cas_required: true });
  return { roleId: roleId.data.role_id, secretId: secretId.data.secret_id };
}

/** A fresh KV v2 mount answers 400 "upgrading" for a moment. */
async function mountServes(request: Bao['request']): Promise<boolean> {
  try {
    await request('GET', 'kv/config');
    return true;
  } catch (error) {
    if (String(error).includes('400')) return false;
    throw error;
  }
}

const shippedPolicy = (): string => readFileSync(POLICY_FILE, 'utf8');
