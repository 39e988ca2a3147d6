import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, failpoint, isDomainError, MINUTE, SECOND } from '../../kernel';
import { retryOnConflict } from '../../store';
import {
  endedThrough,
  flooredThrough,
  MasterKey,
  type MasterKeyDoc,
  MasterKeyRow,
  onlyBackend,
  rangeOf,
} from '../master-key';
import { SystemKeys } from '../system-keys';
import { type NamedRows, UserKeyRewrap } from '../user-keys';

/** A request waits so long for a walk: less than the usual timeouts of clients and proxies. */
const ANSWER_MS = 25 * SECOND;
/** The outcome of a walk is kept so long for a repeated request. */
const KEPT_MS = 15 * MINUTE;

/** Keys in use are counted up to this number. */
const COUNTED = 1_000;
/** Attempts: each one is a walk over all keys, lost only to a concurrent rotation or retire. */
const DECISIONS = 3;

interface Walk {
  readonly version: number;
  readonly outcome: Promise<MasterKeyDoc>;
  /** By performance.now(); Infinity while it goes on. */
  keptUntil: number;
}

/**
 * The walk over all keys before a retire, one at a time in a process. A request waits for a bounded
 * time; then the walk goes on and its outcome is kept for the next request. A kept outcome stays
 * valid: the decision is a compare-and-set on the master key row that was read before the walk.
 */
export class RetireWalk {
  /** Changed by tests alone. */
  answerMs = ANSWER_MS;
  #walk: Walk | undefined;

  /**
   * The master key row as it was before the walk. `until` is a time of performance.now().
   * @throws what `walk` throws; DomainError `kms_unavailable` where it takes longer, `conflict`
   * where a walk for another version is running.
   */
  async row(version: number, until: number, walk: () => Promise<MasterKeyDoc>): Promise<MasterKeyDoc> {
    const current = this.#current(version) ?? this.#begun(version, walk);
    if (current.version !== version) throw anotherWalk();
    const timer = new AbortController();
    const late = sleep(Math.max(0, until - performance.now()), undefined, { signal: timer.signal });
    late.catch(() => undefined);
    try {
      const row = await Promise.race([current.outcome, late]);
      if (row === undefined) throw stillWalking();
      return row;
    } finally {
      timer.abort();
      // The outcome is used once: the next request walks again.
      if (current.keptUntil < Infinity && this.#walk === current) this.#walk = undefined;
    }
  }

  /** An outcome that is too old or of another version is discarded. */
  #current(version: number): Walk | undefined {
    const { keptUntil = 0, version: walkedFor } = this.#walk ?? {};
    const isOver = keptUntil < Infinity && (walkedFor !== version || performance.now() > keptUntil);
    if (isOver) this.#walk = undefined;
    return this.#walk;
  }

  #begun(version: number, walk: () => Promise<MasterKeyDoc>): Walk {
    const begun: Walk = { version, outcome: walk(), keptUntil: Infinity };
    const keep = (): void => void (begun.keptUntil = performance.now() + KEPT_MS);
    begun.outcome.then(keep, keep);
    this.#walk = begun;
    return begun;
  }

  get deadline(): number {
    return performance.now() + this.answerMs;
  }
}

/** Ends master key versions that wrap nothing any more. */
@Injectable()
export class Retirement {
  readonly walk = new RetireWalk();

  constructor(
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrap,
  ) {}

  /**
   * Ends `version` and every earlier one: raises the epoch, walks all rows and their wraps, then
   * records the end by compare-and-set on the row read before the walk (src/keys/README.md says why
   * that is safe). May be repeated. A walk that takes too long ends nothing; the next call uses it.
   * @throws DomainError `not_found`; `version_in_use` with `count`; `integrity_failed` naming rows
   * of unknown version; `kms_unavailable`.
   */
  async retire(version: number): Promise<void> {
    await this.requireRetirable(version).catch(async (refusal: unknown) => {
      if (isDomainError(refusal, 'not_found')) await this.#markIfEnded(version);
      throw refusal;
    });
    await this.#decide(version);
    failpoint('retire.counted');
    await this.masterKey.retire(version);
    failpoint('retire.ended');
    await this.#markEnded(version);
  }

  /**
   * Whether `version` could be retired as things stand. Changes nothing.
   * @throws DomainError as `retire`.
   */
  async requireRetirable(version: number): Promise<void> {
    const { current: named, homes = [] } = await this.row.read();
    const { current, versions, unseen = [] } = await this.masterKey.state();
    if (rangeOf(homes, version)?.ended === true) throw new DomainError('not_found');
    if (unseen.includes(version)) throw backendAway();
    // Numbers that a move skipped end with the versions of the former backend below them.
    const since = version < named ? (rangeOf(homes, version)?.since ?? version) : version;
    const known = versions.some((listed) => listed.version >= since && listed.version <= version);
    if (!known) throw new DomainError('not_found');
    // The row decides what is used: a newer version in the backend may become current at any time.
    const listed = versions.map((each) => each.version).filter((each) => each <= version);
    const count = await this.#listedUnder(version >= Math.min(named, current) ? [...listed, version] : listed);
    if (count > 0 || version >= Math.min(named, current)) throw inUse(count);
  }

  /**
   * Reads the rows and the wraps themselves, never an index.
   * @throws DomainError `version_in_use` with `count` (1,000 at most) where anything needs
   * `version` or an earlier one; `integrity_failed` naming the rows of unknown version.
   */
  async requireUnused(version: number): Promise<void> {
    const system = (await this.systemKeys.wrapVersions()).filter((each) => each <= version).length;
    const { count, doubtful } = await this.userKeys.wrapsUpTo(version, COUNTED);
    if (system + count > 0) throw inUse(system + count);
    if (doubtful.count > 0) throw doubtfulRows(doubtful);
  }

  /** The walk, then the decision: it fails where the row has changed since before the walk. */
  async #decide(version: number): Promise<void> {
    const until = this.walk.deadline;
    for (let attempt = 0; attempt < DECISIONS; attempt += 1) {
      const raised = await this.walk.row(version, until, () => this.#walked(version));
      const homes = flooredThrough(raised.homes ?? onlyBackend(this.masterKey.home), version);
      if ((await this.row.note(raised, homes)) !== undefined) return;
    }
    throw new DomainError('conflict', { detail: 'Concurrent changes to the master key. Retry.', retryAfterSeconds: 5 });
  }

  async #walked(version: number): Promise<MasterKeyDoc> {
    const raised = await this.#raiseEpoch();
    failpoint('retire.epoch-raised');
    await this.requireUnused(version);
    return raised;
  }

  #raiseEpoch(): Promise<MasterKeyDoc> {
    return retryOnConflict(async () => {
      const seen = await this.row.read();
      return this.row.advance(seen, seen.current);
    });
  }

  /**
   * A process may have died before it marked the versions as ended. An operator may also have
   * disabled versions by hand: those with keys on them have not ended.
   */
  async #markIfEnded(version: number): Promise<void> {
    const { current } = await this.row.read();
    const { versions, unseen = [] } = await this.masterKey.state();
    const left = [...versions.map((known) => known.version), ...unseen];
    const isGone = version < current && left.every((each) => each > version);
    if (!isGone || (await this.#isUsed(version))) return;
    await this.#markEnded(version);
  }

  async #isUsed(version: number): Promise<boolean> {
    try {
      await this.requireUnused(version);
      return false;
    } catch (error) {
      if (isDomainError(error, 'version_in_use', 'integrity_failed')) return true;
      throw error;
    }
  }

  /** A former backend is no longer needed once all its versions are retired. */
  async #markEnded(version: number): Promise<void> {
    await retryOnConflict(async () => {
      const seen = await this.row.read();
      const homes = seen.homes && endedThrough(seen.homes, version);
      const isNews = homes?.some(({ ended }, at) => ended !== seen.homes?.[at]?.ended) === true;
      return isNews ? this.row.advance(seen, seen.current, homes) : seen;
    });
  }

  /** Counts by the index: a version that is clearly in use is refused before the walk. */
  async #listedUnder(versions: readonly number[]): Promise<number> {
    let count = 0;
    for (const version of new Set(versions)) {
      if (count >= COUNTED) return COUNTED;
      count += await this.systemKeys.countWrappedBy(version);
      count += await this.userKeys.countWrappedBy(version, COUNTED);
    }
    return Math.min(count, COUNTED);
  }
}

const backendAway = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'A former backend of the master key does not answer.' });

const inUse = (count: number): DomainError =>
  new DomainError('version_in_use', {
    detail: 'Keys are wrapped by this version. Rotate the master key, and examine the quarantined keys.',
    extensions: { count },
  });

const doubtfulRows = ({ count, first }: NamedRows): DomainError =>
  new DomainError('integrity_failed', {
    detail:
      `${count} rows of user keys fail their MAC verification, or name another version than their wraps, so the versions in use are unknown: ` +
      `${first.join(', ')}. docs/keys.md says what to do with them.`,
    extensions: { count },
  });

const stillWalking = (): DomainError =>
  new DomainError('kms_unavailable', {
    detail: 'The check of all keys takes longer than a response may. Nothing was retired. Retry.',
    retryAfterSeconds: 30,
  });

const anotherWalk = (): DomainError =>
  new DomainError('conflict', {
    detail: 'All keys are being checked for another version. Retire that version first, or retry later.',
    retryAfterSeconds: 60,
  });
