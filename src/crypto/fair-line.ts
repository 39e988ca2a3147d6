/** An entry of the queue. Addresses take turns; within an address, accounts take turns. */
export interface Place {
  readonly address: string;
  readonly account: string;
  /** Called when the entry's turn has come. */
  readonly enter: () => void;
  /** Called when the entry is evicted from a full queue. */
  readonly leave: () => void;
}

type Accounts = Map<string, Place[]>;

/**
 * A fair queue: round-robin by address, then by account, then by time of arrival.
 * If the queue is full, it evicts the newest entry of the largest share. A flood from one address
 * or account therefore delays and displaces only itself.
 */
export class FairLine {
  /** In the order of the next turns. */
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

  /** Admits the next entry; returns false if the queue is empty. */
  next(): boolean {
    const address = firstKey(this.#addresses);
    if (address === undefined) return false;
    const accounts = this.#addresses.get(address) ?? (new Map() as Accounts);
    const account = firstKey(accounts) ?? '';
    const [place, ...rest] = accounts.get(account) ?? [];
    // The address and the account move to the end of their rotation.
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

/**
 * Returns the last one of equally large entries, so that a newcomer with an equal share is evicted.
 */
function largest<T>(map: ReadonlyMap<string, T>, sizeOf: (value: T) => number): [string, T] {
  const [first, ...others] = map.entries();
  if (first === undefined) throw new RangeError('nobody waits');
  return others.reduce((most, entry) => (sizeOf(entry[1]) >= sizeOf(most[1]) ? entry : most), first);
}
