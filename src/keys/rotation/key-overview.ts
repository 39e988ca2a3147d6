import { Injectable } from '@nestjs/common';
import { isDomainError } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../master-key';
import { SystemKeys } from '../system-keys';
import { UserKeyRewrap, UserKeyRotator, type UserKeyState } from '../user-keys';

export interface MasterKeyOverview {
  readonly home: MasterKey['home'];
  /** The version that everything new is wrapped with. */
  readonly current: number;
  /**
   * Oldest first. `inUse`: current, or something may still be wrapped by it. `createdAt`: ms since
   * the epoch, 0 where unknown.
   */
  readonly versions: readonly { readonly version: number; readonly createdAt: number; readonly inUse: boolean }[];
}

const ASKED_AT_ONCE = 4;
/** An answer takes two seconds at most, and the store is read before. */
const ANSWER_WITHIN_MS = 1_000;

/** What there is in keys, never a key. */
@Injectable()
export class KeyOverview {
  constructor(
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrap,
    private readonly rotator: UserKeyRotator,
  ) {}

  /** @throws DomainError `kms_unavailable`. */
  async masterKeyNow(): Promise<MasterKeyOverview> {
    const [{ current }, { versions }] = [await this.row.read(), await this.masterKey.state()];
    const used = await this.#lowestInUse(versions.map(({ version }) => version).filter((version) => version < current));
    // A row is listed by the lowest version in it and may hold later ones as well.
    const listed = versions.map((entry) => ({ ...entry, inUse: entry.version >= Math.min(current, used) }));
    return { home: this.masterKey.home, current, versions: listed };
  }

  /**
   * The version that everything new is wrapped with, and when it was made, ms since the epoch; 0
   * where its backend does not tell.
   */
  async currentVersion(): Promise<{ readonly version: number; readonly createdAt: number }> {
    const [{ current }, { versions }] = [await this.row.read(), await this.masterKey.state()];
    return { version: current, createdAt: versions.find(({ version }) => version === current)?.createdAt ?? 0 };
  }

  /** @throws DomainError `not_found`. */
  ownKey(ownerId: string): Promise<UserKeyState> {
    return this.rotator.state(ownerId);
  }

  /**
   * Whether there is any key, and not how many: by the index, for display. Some versions are asked
   * for at once, with one deadline for all. What cannot be told in time may be in use.
   */
  async #lowestInUse(versions: readonly number[]): Promise<number> {
    const used = new Map<number, boolean>();
    const queue = [...versions];
    const ask = async (): Promise<void> => {
      for (let version = queue.shift(); version !== undefined; version = queue.shift()) {
        const isUsed = await this.#isUsed(version);
        used.set(version, isUsed);
        // Later versions say nothing more about the lowest one.
        if (isUsed) queue.length = 0;
      }
    };
    await within(ANSWER_WITHIN_MS, Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask)));
    queue.length = 0;
    return versions.find((version) => used.get(version) !== false) ?? Infinity;
  }

  async #isUsed(version: number): Promise<boolean> {
    try {
      const counts = [this.systemKeys.countWrappedBy(version), this.userKeys.countWrappedBy(version, 1)];
      return (await Promise.all(counts)).some((count) => count > 0);
    } catch (error) {
      if (isDomainError(error, 'store_unavailable')) return true;
      throw error;
    }
  }
}

/** Resolves when `work` has, or after `ms`; rejects only where `work` does so in time. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
