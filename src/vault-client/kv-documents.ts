import { Logger } from '@nestjs/common';
import { unavailable, type VaultReply, VaultUnavailable } from './vault-api';
import type { VaultSession } from './vault-session';

/**
 * A document as it is now, and the number of its newest version: what the next check-and-set names.
 */
export interface KvDocument {
  /** Undefined where there is none, or where its newest version was deleted. */
  readonly data: Readonly<Record<string, unknown>> | undefined;
  /** 0 where there never was one. */
  readonly version: number;
}

/** Vault answers, and its policy refuses. */
export class VaultForbidden extends VaultUnavailable {}
/** Vault answers, and has no KV engine of version 2 at the mount. */
export class VaultNoEngine extends VaultUnavailable {}

// OpenBao refuses JSON of more than about 1,000 values.
const DESTROY_AT_ONCE = 500;

/**
 * Documents in a KV engine of version 2. Every write is a check-and-set: none goes over what
 * another process wrote meanwhile.
 */
export class KvDocuments {
  constructor(
    private readonly session: VaultSession,
    readonly mount: string,
  ) {}

  /** @throws DomainError `kms_unavailable` (VaultForbidden, VaultNoEngine where it is that). */
  async read(path: string): Promise<KvDocument> {
    const reply = await this.session.request({ method: 'GET', path: `${this.mount}/data/${path}` });
    if (reply.status === 403) throw new VaultForbidden('status 403');
    if (reply.status === 404 && errorsOf(reply).length === 0 && reply.body.data === undefined)
      return { data: undefined, version: 0 };
    if (reply.status !== 200 && reply.status !== 404) throw unavailable(`status ${reply.status}`);
    return documentOf(reply);
  }

  /** One version of the document; undefined where it is not there any more. @throws as `read` */
  async readVersion(path: string, version: number): Promise<Readonly<Record<string, unknown>> | undefined> {
    const { data } = await this.read(`${path}?version=${version}`);
    return data;
  }

  /**
   * How many versions of the document Vault keeps, 0 where the mount decides; undefined where the
   * policy does not tell us.
   */
  async keptVersions(path: string): Promise<number | undefined> {
    const reply = await this.session.request({ method: 'GET', path: `${this.mount}/metadata/${path}` });
    const { max_versions } = (reply.status === 200 ? reply.body.data : {}) as { max_versions?: unknown };
    return typeof max_versions === 'number' ? max_versions : undefined;
  }

  /**
   * The number of the version that was written; undefined where `expected` is not the newest one
   * any more.
   * @throws as `read`
   */
  async write(path: string, data: Readonly<Record<string, unknown>>, expected: number): Promise<number | undefined> {
    const reply = await this.session.request({
      method: 'POST',
      path: `${this.mount}/data/${path}`,
      body: { data, options: { cas: expected } },
    });
    if (reply.status === 403) throw new VaultForbidden('status 403');
    if (reply.status === 404) throw new VaultNoEngine('status 404');
    if (reply.status === 400 && errorsOf(reply).some((text) => text.includes('check-and-set'))) return undefined;
    if (reply.status !== 200) throw unavailable(`status ${reply.status}`);
    const { version } = (reply.body.data ?? {}) as { version?: unknown };
    if (typeof version !== 'number') throw new VaultNoEngine('no version in the answer');
    return version;
  }

  /**
   * Destroys the bytes of all versions before `version`, by number: a repeated or late call touches
   * nothing that came after.
   */
  async destroyBefore(path: string, version: number): Promise<void> {
    const versions = Array.from({ length: version - 1 }, (_, at) => at + 1);
    for (let start = 0; start < versions.length; start += DESTROY_AT_ONCE) {
      const reply = await this.session.request({
        method: 'POST',
        path: `${this.mount}/destroy/${path}`,
        body: { versions: versions.slice(start, start + DESTROY_AT_ONCE) },
      });
      if (reply.status === 403) throw new VaultForbidden('status 403');
      if (reply.status !== 200) throw unavailable(`status ${reply.status}`);
    }
  }
}

/**
 * A deleted or destroyed newest version answers 404 with its metadata, and counts for the next
 * check-and-set.
 */
function documentOf(reply: VaultReply): KvDocument {
  const { data, metadata } = (reply.body.data ?? {}) as { data?: unknown; metadata?: { version?: unknown } | null };
  const version = metadata?.version;
  if (typeof version !== 'number') throw new VaultNoEngine(`status ${reply.status} without a version`);
  return { data: isObject(data) ? data : undefined, version };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const errorsOf = ({ body }: VaultReply): readonly string[] =>
  Array.isArray(body.errors) ? body.errors.filter((text): text is string => typeof text === 'string') : [];

const logger = new Logger('VaultSettings');

/**
 * Where Vault keeps fewer, somebody who may write could push versions out. deploy/vault/init.sh
 * sets more for the master key.
 */
export const ENOUGH_VERSIONS = 1_000;

interface Settings {
  readonly delete_version_after?: unknown;
  readonly max_versions?: unknown;
}

/**
 * Says at the start what the KV engine is set to do by itself with the documents that keys are
 * stored in, one line each. Nothing is refused: what Vault deletes by time an operator can
 * undelete, and a service that does not start helps nobody. Never rejects.
 */
export async function tellKvSettings(session: VaultSession, mount: string, document: string): Promise<void> {
  for (const path of [`${mount}/config`, `${mount}/metadata/${document}`]) {
    const found = await settingsAt(session, path);
    if (found === 'hidden') logger.log(`${path}: Vault's policy does not let Coffer look at it (docs/operations.md)`);
    else if (found !== undefined) tell(path, found);
  }
}

function tell(path: string, { delete_version_after: after, max_versions: most }: Settings): void {
  if (isSet(after)) {
    logger.error(`${path}: delete_version_after is set, so Vault deletes keys by itself after a time: set it to 0s`);
  }
  if (typeof most === 'number' && most > 0 && most < ENOUGH_VERSIONS) logger.log(`${path}: max_versions is ${most}`);
}

/**
 * Vault writes a duration, as `0s` or `768h0m0s`; `-1s` in metadata overrides the engine's and
 * means never.
 */
const isSet = (duration: unknown): boolean =>
  typeof duration === 'string' && /[1-9]/.test(duration) && !duration.startsWith('-');

async function settingsAt(session: VaultSession, path: string): Promise<Settings | 'hidden' | undefined> {
  try {
    const { status, body } = await session.request({ method: 'GET', path });
    if (status === 403) return 'hidden';
    return status === 200 && typeof body.data === 'object' && body.data !== null ? body.data : undefined;
  } catch {
    // Vault is away: the start itself says so.
    return undefined;
  }
}
