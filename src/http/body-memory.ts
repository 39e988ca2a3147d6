import { DomainError } from '../kernel';

/** A body that is being read. */
interface Held {
  readonly address: string;
  bytes: number;
  readonly giveUp: () => void;
}

export interface BodyRoom {
  /** Reserves memory for received bytes. Returns false if the address has exceeded its share. */
  grow(bytes: number): boolean;
  /** Called when the body was read or aborted. */
  close(): void;
}

/**
 * Bounds the memory of all request bodies together. One address gets at most an eighth.
 * When the memory is exhausted, the newest body of the address with the largest use is aborted. A
 * client that sends many slow bodies thus blocks only itself.
 */
export class BodyMemory {
  readonly #held = new Set<Held>();
  readonly #ofAddress = new Map<string, number>();
  #bytes = 0;

  constructor(private readonly most: number) {}

  /** Bytes in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `address` is undefined for an exempt backend; `giveUp` aborts the reading of this body. */
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
