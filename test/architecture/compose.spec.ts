import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, YAML11_SCHEMA } from 'js-yaml';

interface ComposeService {
  readonly image?: string;
  readonly profiles?: readonly string[];
  readonly build?: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly networks?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');
const compose = load(text('docker-compose.yml'), { schema: YAML11_SCHEMA }) as Compose;
const services = Object.entries(compose.services);

describe('docker-compose.yml', () => {
  it('has the app, MongoDB, Vault, the step that sets Vault up and, by a profile, an S3 server', () => {
    expect(Object.keys(compose.services).sort()).toEqual(['app', 'mongo', 's3', 'vault', 'vault-init']);
    expect(services.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name)).toEqual(['s3']);
    expect(compose.services['s3']?.profiles).toEqual(['s3']);
  });

  it('keeps the S3 server inside, and gives it the keys that the app uses', () => {
    const s3 = compose.services['s3'];
    expect(s3?.ports).toBeUndefined();
    expect(s3?.networks).toEqual(['back']);
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = compose.services['app']?.environment ?? {};
    expect(s3?.environment).toMatchObject({ ROOT_ACCESS_KEY_ID: id, ROOT_SECRET_ACCESS_KEY: secret });
  });

  it('publishes every port on the loopback address only', () => {
    const published = services.flatMap(([, service]) => service.ports ?? []);
    expect(published.length).toBeGreaterThan(0);
    expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('keeps the database off every network that leaves the machine', () => {
    const networks = compose.services['mongo']?.networks ?? [];
    expect(networks.map((name) => compose.networks[name]?.internal)).toEqual([true]);
  });

  it.each(services)('pins the image of %s to a full version', (_name, service) => {
    if (service.build === undefined) expect(service.image).toMatch(/:v?\d+\.\d+\.\d+$/);
  });

  it.each(services)('takes from %s what a container does not need', (_name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  });

  it.each(services.filter(([name]) => name !== 'vault-init'))('asks %s for its health', (_name, service) => {
    expect(service.healthcheck?.test?.[0]).toBe('CMD');
  });

  it('starts the app only when its database and its Vault serve and Vault is set up', () => {
    expect(compose.services['app']?.depends_on).toEqual({
      mongo: { condition: 'service_healthy' },
      vault: { condition: 'service_healthy' },
      'vault-init': { condition: 'service_completed_successfully' },
    });
  });

  it('holds no secret: every variable named like one comes from the environment or from a volume', () => {
    const named = services.flatMap(([, service]) => Object.entries(service.environment ?? {}));
    const secrets = named.filter(([name]) => /SECRET|PASSWORD|TOKEN|PEPPER|ROOT_KEY|ROLE_ID/.test(name));
    expect(secrets.filter(([, value]) => !/^\$\{[A-Z_]+:[-?]\}$/.test(value))).toEqual([]);
    expect(text('docker-compose.yml')).not.toMatch(/mongodb:\/\/[^@/\s]+:[^@/\s]+@/);
  });

  it('gives the unseal key to the step that needs it and to nothing else', () => {
    const holders = services.filter(([, service]) =>
      service.volumes?.some((mount) => mount.startsWith('vault-operator:')),
    );
    expect(holders.map(([name]) => name)).toEqual(['vault-init']);
    const handover = compose.services['app']?.volumes?.find((mount) => mount.startsWith('app-secrets:'));
    expect(handover).toMatch(/:ro$/);
  });

  it('declares every volume that it mounts, and mounts every one that it declares', () => {
    const mounts = services.flatMap(([, service]) => service.volumes ?? []).map((mount) => mount.split(':')[0]!);
    const named = new Set(mounts.filter((source) => !source.startsWith('.')));
    expect([...named].sort()).toEqual(Object.keys(compose.volumes).sort());
    expect(mounts.filter((source) => source.startsWith('.') && !existsSync(join(root, source)))).toEqual([]);
  });

  it('starts the app by the command of its image, and hands its secrets to each process of the container', () => {
    const app = compose.services['app'];
    expect(app?.command).toBeUndefined();
    expect(app?.environment?.['COFFER_ENV_FILE']).toBe('/run/coffer/app.env');
    expect(app?.volumes).toContain('app-secrets:/run/coffer:ro');
  });

  it('says aloud what it sets against the production defaults', () => {
    expect(compose.services['app']?.environment).toMatchObject({
      NODE_ENV: 'production',
      MASTER_KEY: 'kv',
      USER_KEY_STORE: 'vault',
      BOOTSTRAP_ADMIN: 'first-user',
      DOCS: 'on',
    });
  });
});

describe('Dockerfile', () => {
  const lines = text('Dockerfile')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const instruction = (name: string): string[] => lines.filter((line) => line.startsWith(`${name} `));
  const finalStage = lines.slice(lines.lastIndexOf(instruction('FROM').at(-1)!));

  it('builds on one pinned slim image of Node 24', () => {
    const images = new Set(instruction('FROM').map((line) => line.split(' ')[1]));
    expect([...images]).toEqual([expect.stringMatching(/^node:24\.\d+\.\d+-[a-z]+-slim$/)]);
  });

  it('runs as the image user and never returns to root', () => {
    expect(finalStage.filter((line) => line.startsWith('USER '))).toEqual(['USER node']);
    const user = finalStage.indexOf('USER node');
    expect(finalStage.slice(user).filter((line) => /^(RUN|COPY|ADD) /.test(line))).toEqual([]);
  });

  it('leaves the compiler, the sources and the development packages behind', () => {
    expect(finalStage.filter((line) => /^RUN .*(npm|npx)/.test(line))).toEqual([]);
    expect(finalStage.filter((line) => line.startsWith('COPY ')).join('\n')).not.toMatch(/\bsrc\b|COPY \. /);
    expect(instruction('RUN').join('\n')).toContain('--omit=dev');
  });

  it('checks its health without a program beyond Node', () => {
    const check = instruction('HEALTHCHECK').join('\n');
    expect(check).toContain('CMD ["node"');
    expect(instruction('RUN').join('\n')).not.toMatch(/apt-get|curl|wget/);
  });

  it('starts the service as process 1, so that it gets the signals', () => {
    expect(instruction('CMD')).toEqual(['CMD ["coffer-server"]']);
    expect(text('bin/coffer-server').trimEnd().split('\n').at(-1)).toMatch(/^exec node /);
    expect(instruction('ENTRYPOINT')).toEqual([]);
  });

  it('installs exactly what the lock file says', () => {
    const installs = instruction('RUN').filter((line) => / npm /.test(line));
    expect(installs.map((line) => /npm (ci|install|i)\b/.exec(line)?.[1])).toEqual(['ci', 'ci']);
  });

  it('copies nothing that .dockerignore leaves out', () => {
    const kept = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = instruction('COPY')
      .filter((line) => !line.includes('--from='))
      .flatMap((line) => line.split(/\s+/).slice(1, -1))
      .filter((word) => !word.startsWith('--'));
    expect(sources.filter((source) => !kept.some((name) => source === name || source.startsWith(`${name}/`)))).toEqual(
      [],
    );
  });
});
