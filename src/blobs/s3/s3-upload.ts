import { CompletedPart, HeadObjectCommand } from '@aws-sdk/client-s3';
import { DomainError, newId } from '../../kernel';
import { s3Fault } from './faults';
import {
  MultipartPlace,
  ObjectPlace,
  abortMultipart,
  beginMultipart,
  completeMultipart,
  putObject,
  putPart,
} from './object-writes';
import { PartBuffer, PartMemory } from './part-buffers';
import { S3Connection } from './s3-connection';

/** A blob of up to this size takes none of the shared buffers. */
const SMALL_BYTES = 256 * 1024;
/** Parts that are sent while the next is collected. */
const IN_FLIGHT = 2;
/** Metadata that tells the objects of one put from those of another. */
const PUT_MARK = 'coffer-put';

/**
 * One put. A blob of up to one part is one request, another a multipart upload whose parts are sent
 * while the next is collected. Both become visible by one conditional request.
 */
export class S3Upload {
  readonly #mark = newId();
  readonly #place: ObjectPlace;
  readonly #aborter = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #parts: CompletedPart[] = [];
  #small: Uint8Array[] = [];
  #smallBytes = 0;
  #part: PartBuffer | undefined;
  #filled = 0;
  #size = 0;
  #sent = 0;
  #upload: MultipartPlace | undefined;
  #fault: Error | undefined;

  constructor(
    private readonly s3: S3Connection,
    key: string,
    private readonly memory: PartMemory,
  ) {
    this.#place = { Bucket: s3.bucket, Key: key };
  }

  /** The bytes of the chunk must not change until the put has ended. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#requireSound();
    this.#size += chunk.length;
    if (this.#part === undefined && this.#sent === 0 && this.#smallBytes + chunk.length <= SMALL_BYTES) {
      this.#small.push(chunk);
      this.#smallBytes += chunk.length;
      return;
    }
    const small = this.#small;
    this.#small = [];
    for (const earlier of small) await this.#fill(earlier);
    await this.#fill(chunk);
  }

  /** Resolves with the size when the object is there. */
  async publish(): Promise<number> {
    this.#requireSound();
    try {
      await (this.#sent === 0 ? this.#putWhole() : this.#complete());
    } catch (error) {
      if (!(await this.#isThere())) throw error;
      // The object was stored, and only the response was lost.
      this.#giveBack(false);
    }
    return this.#size;
  }

  /** Ends the put: `write` and `publish` reject with `fault`. */
  cancel(fault: Error): void {
    this.#fault ??= fault;
    this.#aborter.abort();
  }

  /**
   * Removes what was written. Never throws, since it runs while another error is thrown; `sweep`
   * removes the rest.
   */
  async discard(): Promise<void> {
    this.cancel(new DomainError('conflict'));
    await Promise.all(this.#inFlight);
    this.#giveBack(false);
    if (this.#upload === undefined) return;
    await this.s3.quick(abortMultipart(this.#upload)).catch(() => undefined);
  }

  async #fill(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      if (this.#part !== undefined && this.#filled === this.#part.bytes.length) await this.#send();
      this.#part ??= await this.memory.take(this.#sent + 1);
      const taken = chunk.subarray(at, at + this.#part.bytes.length - this.#filled);
      this.#part.bytes.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
    }
  }

  async #send(): Promise<void> {
    const { part, bytes } = this.#taken();
    const number = this.#sent + 1;
    let upload: MultipartPlace;
    try {
      upload = this.#upload ??= await this.s3.quick(beginMultipart(this.#place, this.#facts));
      this.#sent = number;
    } catch (error) {
      part.give(true);
      throw error;
    }
    const sending: Promise<void> = this.#sendPart(upload, number, bytes)
      .then(
        () => part.give(true),
        (error: unknown) => {
          part.give(false);
          this.cancel(s3Fault(error));
        },
      )
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    if (this.#inFlight.size >= IN_FLIGHT) await Promise.race(this.#inFlight);
    this.#requireSound();
  }

  get #facts(): { readonly Metadata: Readonly<Record<string, string>> } {
    return { Metadata: { [PUT_MARK]: this.#mark } };
  }

  async #sendPart(upload: MultipartPlace, number: number, bytes: Buffer): Promise<void> {
    this.#parts[number - 1] = await this.s3.heavy(putPart(upload, number, bytes), this.#aborter.signal);
  }

  async #putWhole(): Promise<void> {
    const body = this.#part?.bytes.subarray(0, this.#filled) ?? Buffer.concat(this.#small);
    await this.s3.heavy(putObject(this.#place, body, this.#facts), this.#aborter.signal);
    this.#giveBack(true);
  }

  async #complete(): Promise<void> {
    if (this.#filled > 0) await this.#send();
    await Promise.all(this.#inFlight);
    this.#requireSound();
    if (this.#upload === undefined) throw new TypeError('a multipart upload completed before it began');
    await this.s3.heavy(completeMultipart(this.#upload, this.#parts), this.#aborter.signal);
  }

  /**
   * Whether this put's object exists, after a lost response or a repeated request that met its own
   * object.
   */
  async #isThere(): Promise<boolean> {
    const head = new HeadObjectCommand(this.#place);
    const found = await this.s3.quick((client, options) => client.send(head, options)).catch(() => undefined);
    return found?.Metadata?.[PUT_MARK] === this.#mark && found.ContentLength === this.#size;
  }

  #taken(): { part: PartBuffer; bytes: Buffer } {
    const part = this.#part;
    if (part === undefined) throw new TypeError('there is no part to send');
    const bytes = part.bytes.subarray(0, this.#filled);
    this.#part = undefined;
    this.#filled = 0;
    return { part, bytes };
  }

  #giveBack(reusable: boolean): void {
    this.#part?.give(reusable);
    this.#part = undefined;
    this.#filled = 0;
  }

  #requireSound(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }
}
