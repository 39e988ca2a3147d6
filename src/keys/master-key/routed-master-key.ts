import { Logger } from '@nestjs/common';
import { DomainError, isDomainError, SecretBytes, type WrappedKey } from '../../kernel';
import { ConfiguredBackends } from './configured-backends';
import {
  checkBatch,
  type ItemResult,
  MasterKey,
  type MasterKeyState,
  refusedItem,
  type UnwrapItem,
  type WrapItem,
} from './master-key';
import {
  type BackendName,
  formOf,
  lastVersionOf,
  mergedState,
  newestBackend,
  onlyBackend,
  rangeOf,
  type VersionRange,
} from './version-ranges';

/**
 * What the master key row says of the backends; undefined while it cannot be read yet, or on a
 * fresh installation.
 */
export type VersionRangesSource = () => Promise<{ readonly homes?: readonly VersionRange[] } | undefined>;

/**
 * The master key of an installation that may have moved: each version is asked of the backend that
 * holds it, by the master key row, whatever MASTER_KEY says. So a move changes nothing for a
 * process that is configured for both backends, and a wrap of a backend that the row does not name
 * for its version is refused: who got hold of a former backend cannot speak for the present one.
 */
export class RoutedMasterKey extends MasterKey {
  readonly #logger = new Logger('RoutedMasterKey');
  readonly #homes: ConfiguredBackends;
  #source: VersionRangesSource = () => Promise.resolve(undefined);
  #admitted: readonly BackendName[];
  #spans: readonly VersionRange[] | undefined;
  /** Whether the start has opened the backend, and what the last try to met. */
  #isOpen = false;
  #openFault: Error | undefined;

  /** The first one is that of MASTER_KEY. */
  constructor(homes: readonly [MasterKey, ...MasterKey[]]) {
    super();
    this.#homes = new ConfiguredBackends(homes);
    this.#admitted = [this.#homes.first];
  }

  /** The backend of all that is new, as this process last heard. */
  get home(): BackendName {
    return newestBackend(this.#spans ?? onlyBackend(this.#homes.first));
  }

  /**
   * `admitted`: which backends may open the system keys while the row cannot be read, since they
   * open its seal. `source` reads the row.
   */
  follow(admitted: readonly BackendName[], source: VersionRangesSource): void {
    this.#admitted = admitted;
    this.#source = source;
  }

  /** Whose key it is, for backends that note it: to be said before one is opened. */
  bindTo(installationId: string): void {
    this.#homes.bindTo(installationId);
  }

  isConfigured(home: BackendName): boolean {
    return this.#homes.has(home);
  }

  /**
   * Opens `target`, which is made where the installation keeps nothing there, and every backend
   * that still holds versions: what a move needs.
   * @throws StartupError naming what is missing; DomainError `kms_unavailable`.
   */
  async prepareMove(target: BackendName): Promise<void> {
    const live = (await this.#read()).filter(({ ended }) => ended !== true);
    for (const { home } of live) await (await this.#homes.open(home)).ping();
    await (await this.#homes.open(target, !live.some(({ home }) => home === target))).ping();
  }

  /** One backend by itself, for a move. @throws DomainError `kms_unavailable`. */
  async inHome(home: BackendName): Promise<MasterKey> {
    const isLive = (await this.#read()).some((span) => span.home === home && span.ended !== true);
    return this.#homes.serving(home, !isLive);
  }

  async open({ create = true }: { readonly create?: boolean } = {}): Promise<void> {
    try {
      await this.#homes.open(this.#homes.first, create);
      this.#isOpen = true;
    } catch (error) {
      this.#openFault = error as Error;
      throw error;
    }
  }

  async state(): Promise<MasterKeyState> {
    return mergedState(
      await this.#read(),
      (home) => this.#homes.serving(home),
      (home) => this.#homes.has(home),
    );
  }

  async wrap(version: number, items: readonly WrapItem[]): Promise<WrappedKey[]> {
    return (await this.#holding(version)).wrap(version, items);
  }

  async unwrap(items: readonly UnwrapItem[]): Promise<ItemResult<SecretBytes>[]> {
    checkBatch(items);
    const opened: ItemResult<SecretBytes>[] = [];
    try {
      return await this.#byHome(items, async (home, part) => {
        const results = await home.unwrap(part);
        opened.push(...results);
        return results;
      });
    } catch (error) {
      destroyAll(opened);
      throw error;
    }
  }

  async rewrap(version: number, items: readonly UnwrapItem[]): Promise<ItemResult<WrappedKey>[]> {
    checkBatch(items);
    const target = await this.#holding(version);
    return this.#byHome(items, (home, part) =>
      home === target ? target.rewrap(version, part) : carry(home, target, version, part),
    );
  }

  async rotate(expected: number): Promise<number> {
    const home = newestBackend(await this.#read());
    return (await this.#homes.serving(home)).rotate(expected);
  }

  /**
   * In each backend up to the last version that it holds for us. A backend that the master key left
   * makes one version more first, which nobody uses: the newest one cannot end by itself.
   */
  async retire(version: number): Promise<void> {
    const spans = await this.#read();
    for (const span of spans.filter(({ since, ended }) => since <= version && ended !== true)) {
      const home = await this.#homes.serving(span.home);
      const last = Math.min(version, lastVersionOf(spans, span));
      if (span !== spans.at(-1) && (await home.state()).current <= last) await home.rotate(last);
      await home.retire(last);
    }
    await this.#assertAfterRetire();
  }

  /** The retire itself is done: a backend that is away does not make it fail. */
  async #assertAfterRetire(): Promise<void> {
    try {
      await this.assertFloors();
    } catch (error) {
      if (!isDomainError(error, 'kms_unavailable')) throw error;
      this.#logger.warn(`${error.message} The versions that ended before are looked at again by the next rotation.`);
    }
  }

  /**
   * Ends again what the row says is retired, in backends where a write that came late may have set
   * that back. Asks the row once more behind it: whoever raised a floor meanwhile and was passed by
   * a late write is seen then. A backend that is away keeps no other one waiting.
   * @throws DomainError `kms_unavailable` that names the backends which were away.
   */
  async assertFloors(): Promise<void> {
    const away = new Map<BackendName, unknown>();
    for (let asserted = ''; ;) {
      const spans = await this.#read();
      const floors = JSON.stringify(spans.map(({ floor }) => floor));
      if (floors === asserted) break;
      const live = new Set(spans.filter(({ ended }) => ended !== true).map(({ home }) => home));
      away.clear();
      for (const home of live) {
        await this.#keepEnded(home, spans).catch((error: unknown) => {
          if (!isDomainError(error, 'kms_unavailable')) throw error;
          away.set(home, error);
        });
      }
      asserted = floors;
    }
    if (away.size > 0) throw floorsNotAsserted(away);
  }

  /** A backend that was left for good is not asked: it may have been taken away. */
  async #keepEnded(home: BackendName, spans: readonly VersionRange[]): Promise<void> {
    const floor = Math.max(0, ...spans.filter((span) => span.home === home).map((span) => span.floor ?? 0));
    if (floor > 0) await (await this.#homes.serving(home)).keepEnded(floor);
  }

  override async trim(version: number, operatorToken: string): Promise<void> {
    const { home } = required(rangeOf(await this.#read(), version));
    await (await this.#homes.open(home)).trim(version, operatorToken);
  }

  override async ping(): Promise<void> {
    // Before the start has opened it, nothing here may: a probe would ask for a keyring that the
    // first start is about to make.
    if (!this.#isOpen) {
      if (this.#openFault !== undefined) throw this.#openFault;
      return;
    }
    // By what was heard last: asking the store here would report a store that hangs as a fault of
    // the key service.
    await (await this.#homes.serving(this.home)).ping();
  }

  close(): Promise<void> {
    return this.#homes.close();
  }

  /** From the store, so that a wrap is never made by where the key was a moment ago. */
  async #read(): Promise<readonly VersionRange[]> {
    const row = await this.#source();
    if (row === undefined) return this.#spans ?? onlyBackend(this.#homes.first);
    this.#spans = row.homes ?? onlyBackend(this.#homes.first);
    return this.#spans;
  }

  async #holding(version: number): Promise<MasterKey> {
    const { home } = required(rangeOf(await this.#read(), version));
    return this.#homes.serving(home);
  }

  async #byHome<T>(
    items: readonly UnwrapItem[],
    act: (home: MasterKey, part: readonly UnwrapItem[]) => Promise<ItemResult<T>[]>,
  ): Promise<ItemResult<T>[]> {
    const places = await this.#placesOf(items);
    const answers = new Map<BackendName | undefined, Iterator<ItemResult<T>>>();
    for (const place of new Set(places)) {
      if (place === undefined) continue;
      const part = items.filter((_, at) => places[at] === place);
      answers.set(place, (await act(await this.#homes.serving(place), part)).values());
    }
    return places.map((place) => {
      const next = answers.get(place)?.next();
      return next === undefined || next.done === true ? refusedItem('no home opens that version') : next.value;
    });
  }

  /** For each item the backend that opens it; undefined where none does any more. */
  async #placesOf(items: readonly UnwrapItem[]): Promise<(BackendName | undefined)[]> {
    let spans = this.#spans;
    if (spans === undefined || items.some((item) => this.#isNews(item, spans ?? []))) {
      await this.#read();
      spans = this.#spans;
    }
    return items.map((item) => (spans === undefined ? this.#admittedFor(item) : placeIn(spans, item)));
  }

  /**
   * Whether an item does not go with what this process last heard: the key may have moved, or a
   * backend may have ended.
   */
  #isNews(item: UnwrapItem, spans: readonly VersionRange[]): boolean {
    const place = placeIn(spans, item);
    const form = formOf(item.wrapped.ciphertext);
    return place !== undefined && ((form !== undefined && form !== place) || !this.#homes.has(place));
  }

  #admittedFor({ wrapped }: UnwrapItem): BackendName {
    const form = formOf(wrapped.ciphertext);
    return form !== undefined && this.#admitted.includes(form) ? form : this.#homes.first;
  }
}

function placeIn(spans: readonly VersionRange[], { wrapped }: UnwrapItem): BackendName | undefined {
  const span = rangeOf(spans, wrapped.masterVersion);
  return span?.ended === true ? undefined : span?.home;
}

/**
 * Opened in one backend and wrapped in another: here alone keys of a Transit backend pass through
 * this process in a rewrap.
 */
async function carry(
  from: MasterKey,
  to: MasterKey,
  version: number,
  items: readonly UnwrapItem[],
): Promise<ItemResult<WrappedKey>[]> {
  const opened = await from.unwrap(items);
  try {
    const sound = items.flatMap(({ context }, at) => {
      const result = opened[at];
      return result?.ok === true ? [{ key: result.value, context }] : [];
    });
    const wraps = (await to.wrap(version, sound)).values();
    return opened.map((result) => (result.ok ? { ok: true, value: required(wraps.next().value) } : result));
  } finally {
    destroyAll(opened);
  }
}

function floorsNotAsserted(away: ReadonlyMap<BackendName, unknown>): DomainError {
  const [cause] = away.values();
  const detail = `The retired versions in ${[...away.keys()].join(', ')} could not be looked at.`;
  return new DomainError('kms_unavailable', { detail, cause });
}

function destroyAll(opened: readonly ItemResult<SecretBytes>[]): void {
  for (const result of opened) if (result.ok) result.value.destroy();
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new DomainError('kms_unavailable', { detail: 'The master key cannot be reached.' });
  return value;
}
