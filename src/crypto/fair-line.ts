/** One that waits, and for whom: those of an address take turns with other addresses, and within it those of each account. */
export interface Place {
  readonly address: string;
  readonly account: string;
  /** Its turn has come. */
  readonly enter: () => void;
  /** It has to leave: there is no room. */
  readonly leave: () => void;
}

type Accounts = Map<string, Place[]>;

/**
 * A queue that is served in turn: first by address, then by account, and only then by time of arrival. Where it is full, the newest of
 * whoever has most in it makes room. So a flood from one address or account only ever delays and displaces itself.
 */
export class FairLine {
  /** In the order in which they are served next. */
  readonly #addresses = new Map<string, Accounts>();
  #size = 0;

  constructor(private readonly most: number) {}

  get size(): number {
    return this.#size;
  }

  join(place: Place): void {
    const accounts = this.#addresses.get(place.address) ?? (new Map() as Accounts);
    this.#addresses.set(place.address, accounts);
    accounts.set(place.account, [...(accounts.get(place.account) ?? []), place]);
    this.#size += 1;
    if (this.#size > this.most) this.#makeRoom();
  }

  /** Lets the next one in; false where nobody waits. */
  next(): boolean {
    const address = firstKey(this.#addresses);
    if (address === undefined) return false;
    const accounts = this.#addresses.get(address) ?? (new Map() as Accounts);
    const account = firstKey(accounts) ?? '';
    const [place, ...rest] = accounts.get(account) ?? [];
    // Both go to the end of their turn.
    this.#addresses.delete(address);
    accounts.delete(account);
    if (rest.length > 0) accounts.set(account, rest);
    if (accounts.size > 0) this.#addresses.set(address, accounts);
    this.#size -= 1;
    place?.enter();
    return true;
  }

  #makeRoom(): void {
    const [address, accounts] = largest(this.#addresses, waitingIn);
    const [account, places] = largest(accounts, ({ length }) => length);
    const newest = places.at(-1);
    if (places.length > 1) accounts.set(account, places.slice(0, -1));
    else accounts.delete(account);
    if (accounts.size === 0) this.#addresses.delete(address);
    this.#size -= 1;
    newest?.leave();
  }
}

const waitingIn = (accounts: Accounts): number => [...accounts.values()].reduce((sum, { length }) => sum + length, 0);

const firstKey = <T>(map: ReadonlyMap<string, T>): string | undefined => map.keys().next().value;

/** Of several that are as large the last one: the newcomer, where it has as many as any other. */
function largest<T>(map: ReadonlyMap<string, T>, sizeOf: (value: T) => number): [string, T] {
  const [first, ...others] = map.entries();
  if (first === undefined) throw new RangeError('nobody waits');
  return others.reduce((most, entry) => (sizeOf(entry[1]) >= sizeOf(most[1]) ? entry : most), first);
}
