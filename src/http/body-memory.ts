import { DomainError } from '../kernel';

/** A body that is being read. */
interface Held {
  readonly address: string;
  bytes: number;
  readonly giveUp: () => void;
}

export interface BodyRoom {
  /** Takes room for bytes that came. False where the sender has used up its share. */
  grow(bytes: number): boolean;
  /** The body is read, or given up. */
  close(): void;
}

/**
 * What bodies that are read into memory may take together. One address has an eighth of it at most; where all of it is used, the newest
 * body of the address that holds most is given up. So whoever sends slowly many bodies at once only ever stops their own.
 */
export class BodyMemory {
  readonly #held = new Set<Held>();
  readonly #ofAddress = new Map<string, number>();
  #bytes = 0;

  constructor(private readonly most: number) {}

  /** Bytes that are held just now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `address` is undefined for a backend that speaks for many; `giveUp` ends the reading of this body. */
  open(address: string | undefined, giveUp: () => void): BodyRoom {
    const held: Held = { address: address ?? '', bytes: 0, giveUp };
    this.#held.add(held);
    const share = address === undefined ? Infinity : this.most / 8;
    return {
      grow: (bytes) => {
        this.#count(held, bytes);
        if ((this.#ofAddress.get(held.address) ?? 0) > share) return false;
        while (this.#bytes > this.most) this.#makeRoom();
        return true;
      },
      close: () => this.#close(held),
    };
  }

  #count(held: Held, bytes: number): void {
    held.bytes += bytes;
    this.#bytes += bytes;
    const sum = (this.#ofAddress.get(held.address) ?? 0) + bytes;
    if (sum > 0) this.#ofAddress.set(held.address, sum);
    else this.#ofAddress.delete(held.address);
  }

  #close(held: Held): void {
    if (this.#held.delete(held)) this.#count(held, -held.bytes);
  }

  #makeRoom(): void {
    const sums = [...this.#ofAddress];
    const [greatest] = sums.reduce((most, entry) => (entry[1] > most[1] ? entry : most));
    const newest = [...this.#held].findLast(({ address, bytes }) => address === greatest && bytes > 0);
    if (newest === undefined) throw new RangeError('bytes are held by nobody');
    this.#close(newest);
    newest.giveUp();
  }
}

export const bodiesOverloaded = (): DomainError =>
  new DomainError('overloaded', { detail: 'Too many request bodies are being received.', retryAfterSeconds: 1 });
