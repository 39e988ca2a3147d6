import { Clock, MINUTE, OpenAct, newId } from '../kernel';
import { AuditEntry, bounded, outcomeOf } from './entry';

/**
 * Rejections of one action that are logged singly in a window: by target or actor, by address, and
 * in total.
 */
const SINGLY = { target: 5, address: 20, action: 200 } as const;
/**
 * Allowance for pending actions, which do not count as rejections yet: concurrent correct logins
 * are no flood.
 */
const UNDER_WAY = 32;
const WINDOW_MS = MINUTE;
/** Groups counted separately in a window; further ones of an action share one count. */
const MOST_KINDS = 100;
/** Limit of distinct names in one count. */
const MOST_NAMES = 100;
const MOST_COUNTERS = 10_000;

/** The target and address by which rejections are grouped. */
export interface Origin {
  /** The account, or the link that is tried; undefined if neither is known. */
  readonly target: string | undefined;
  /** The address that rate limits use; undefined for an exempt backend. */
  readonly address: string | undefined;
}

interface Kind {
  readonly intent: AuditEntry;
  /** Resolves when the intent is durable. */
  readonly begun: Promise<void>;
  readonly codes: Map<string, number>;
  readonly targets: Set<string>;
  readonly addresses: Set<string>;
  count: number;
  underWay: number;
  state: 'open' | 'over' | 'refused';
}

interface Counter {
  readonly most: number;
  refused: number;
  underWay: number;
}

export interface FloodLog {
  durable(entry: AuditEntry): Promise<void>;
  queue(entry: AuditEntry): void;
}

/**
 * Bounds the space that rejections take in the log. The first rejections of a window are logged
 * singly. Further ones are counted: one intent, durable before the first of them is tried, and one
 * outcome with their number at the end of the window. Actions that succeed or fail are always
 * logged singly.
 */
export class RefusalFloods {
  #counters = new Map<string, Counter>();
  readonly #kinds = new Map<string, Kind>();
  #until: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: FloodLog,
    private readonly clock: Clock,
  ) {}

  /** True if rejections of this action are only counted now. */
  isFlooded(action: string, origin: Origin): boolean {
    this.#turnWindow();
    return this.#countersOf(action, origin).some(isFull);
  }

  /**
   * Starts an action that is logged singly. The caller calls the returned function at the end of
   * the action.
   */
  singly(action: string, origin: Origin): (isRefused: boolean) => void {
    const counters = this.#countersOf(action, origin);
    for (const counter of counters) counter.underWay += 1;
    return (isRefused) => {
      for (const counter of counters) {
        counter.underWay -= 1;
        if (isRefused) counter.refused += 1;
      }
    };
  }

  /**
   * Starts an action of a flood. `entry` is its intent, which is logged unless the action is
   * rejected.
   * @throws as `FloodLog.durable`
   */
  async begin(entry: AuditEntry, origin: Origin): Promise<OpenAct> {
    const kind = this.#kindOf(entry, origin);
    kind.underWay += 1;
    await kind.begun;
    let open = true;
    return {
      close: (outcome, details) => {
        if (!open) return;
        open = false;
        if (outcome === 'refused') count(kind, origin, details?.['code']);
        else {
          this.log.queue(entry);
          this.log.queue(outcomeOf(entry, this.clock.now(), outcome, details));
        }
        kind.underWay -= 1;
        if (kind.state === 'over') this.#tell(kind);
      },
    };
  }

  /** Counts a rejection of a flood that has no intent. */
  count(entry: AuditEntry, origin: Origin): void {
    count(this.#kindOf(entry, origin), origin, entry.details?.['code']);
  }

  /** Queues the counts, at the end of the window and of the process. */
  end(): void {
    clearTimeout(this.#timer);
    this.#until = undefined;
    this.#counters = new Map();
    const kinds = [...this.#kinds.values()];
    this.#kinds.clear();
    for (const kind of kinds) {
      kind.state = 'over';
      this.#tell(kind);
    }
  }

  #kindOf(entry: AuditEntry, { target, address }: Origin): Kind {
    const { action } = entry;
    const ofTarget = this.#counters.get(targetName(action, target));
    const isByTarget = ofTarget !== undefined && isFull(ofTarget);
    const own = isByTarget ? targetName(action, target) : addressName(action, address);
    const name = this.#kinds.has(own) || this.#kinds.size < MOST_KINDS ? own : action;
    const found = this.#kinds.get(name);
    return found ?? this.#newKind(name, entry, isByTarget && name === own);
  }

  #newKind(name: string, entry: AuditEntry, isByTarget: boolean): Kind {
    const { request_id: _, outcome: __, resource, ...rest } = entry;
    const intent: AuditEntry = {
      ...rest,
      id: newId(),
      phase: 'intent',
      actor: isByTarget ? entry.actor : 'anonymous',
      ...(isByTarget && resource !== undefined && { resource }),
      details: { gathered: true },
    };
    const begun = this.log.durable(intent);
    const named = { codes: new Map<string, number>(), targets: new Set<string>(), addresses: new Set<string>() };
    const kind: Kind = { intent, begun, ...named, count: 0, underWay: 0, state: 'open' };
    this.#kinds.set(name, kind);
    // The log itself closes an intent that it rejected; the next action of this kind starts a new
    // count.
    begun.catch(() => {
      kind.state = 'refused';
      if (this.#kinds.get(name) === kind) this.#kinds.delete(name);
    });
    return kind;
  }

  #tell(kind: Kind): void {
    if (kind.underWay > 0 || kind.state === 'refused') return;
    const codes = [...kind.codes].sort(([, a], [, b]) => b - a);
    const details = {
      gathered: true,
      count: kind.count,
      targets: kind.targets.size,
      addresses: kind.addresses.size,
      ...(codes[0] !== undefined && { code: codes[0][0] }),
      ...(codes.length > 1 && { codes: bounded(codes.map(([code, times]) => `${code} ${times}`).join(', ')) }),
    };
    this.log.queue(outcomeOf(kind.intent, this.clock.now(), kind.count > 0 ? 'refused' : 'done', details));
  }

  #countersOf(action: string, { target, address }: Origin): readonly Counter[] {
    return [
      this.#counter(action, action, SINGLY.action),
      ...(target === undefined ? [] : [this.#counter(action, targetName(action, target), SINGLY.target)]),
      ...(address === undefined ? [] : [this.#counter(action, addressName(action, address), SINGLY.address)]),
    ];
  }

  #counter(action: string, name: string, most: number): Counter {
    const found = this.#counters.get(name);
    if (found !== undefined) return found;
    const counter = { most, refused: 0, underWay: 0 };
    // At this limit the counter of the action is already full.
    if (this.#counters.size < MOST_COUNTERS || name === action) this.#counters.set(name, counter);
    return counter;
  }

  #turnWindow(): void {
    const now = this.clock.elapsed();
    if (this.#until !== undefined && now < this.#until) return;
    this.end();
    this.#until = now + WINDOW_MS;
    this.#timer = setTimeout(() => this.end(), WINDOW_MS).unref();
  }
}

const targetName = (action: string, target: string | undefined): string => `${action} of ${target ?? ''}`;
const addressName = (action: string, address: string | undefined): string => `${action} from ${address ?? ''}`;

const isFull = ({ most, refused, underWay }: Counter): boolean =>
  refused >= most || refused + underWay >= most + UNDER_WAY;

function count(kind: Kind, { target, address }: Origin, code: unknown): void {
  kind.count += 1;
  const name = typeof code === 'string' ? code : 'refused';
  kind.codes.set(name, (kind.codes.get(name) ?? 0) + 1);
  if (target !== undefined && kind.targets.size < MOST_NAMES) kind.targets.add(target);
  if (address !== undefined && kind.addresses.size < MOST_NAMES) kind.addresses.add(address);
}
