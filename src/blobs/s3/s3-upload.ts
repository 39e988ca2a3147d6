import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CompletedPart,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { DomainError, newId } from '../../kernel';
import { s3Fault } from './faults';
import { PartBuffer } from './part-buffers';
import { PartMemory } from './part-memory';
import { S3Connection } from './s3-connection';
import { BEFORE_SIGNING, unsignedBody } from './unsigned-body';

/** Up to here a blob is collected as it comes and takes none of the shared buffers. */
const SMALL_BYTES = 256 * 1024;
/** Parts on their way while the next is collected. */
const IN_FLIGHT = 2;
/** Metadata that tells the objects of one put from those of another. */
const PUT_MARK = 'coffer-put';
const CREATE_ONLY = '*';

/**
 * One put. Small blobs and blobs of up to one part go in one request, others as a multipart upload whose parts are sent while the next is
 * collected. Both become visible by one conditional request: an object that is there already is never replaced.
 */
export class S3Upload {
  readonly #mark = newId();
  readonly #place: { readonly Bucket: string; readonly Key: string };
  readonly #aborter = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #parts: CompletedPart[] = [];
  #small: Uint8Array[] = [];
  #smallBytes = 0;
  #part: PartBuffer | undefined;
  #filled = 0;
  #size = 0;
  #sent = 0;
  #uploadId: string | undefined;
  #fault: Error | undefined;

  constructor(
    private readonly s3: S3Connection,
    key: string,
    private readonly memory: PartMemory,
  ) {
    this.#place = { Bucket: s3.bucket, Key: key };
  }

  /** Takes the chunk over: its bytes must not change until the put has ended. */
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
      // It was stored, and only the answer was lost: its memory is not.
      this.#giveBack(false);
    }
    return this.#size;
  }

  /** Ends what is under way; `fault` is what write and publish then reject with. */
  cancel(fault: Error): void {
    this.#fault ??= fault;
    this.#aborter.abort();
  }

  /** Leaves nothing behind. Never throws: it runs while another error is on its way, and `sweep` comes by later. */
  async discard(): Promise<void> {
    this.cancel(new DomainError('conflict'));
    await Promise.all(this.#inFlight);
    this.#giveBack(false);
    if (this.#uploadId === undefined) return;
    const abort = new AbortMultipartUploadCommand({ ...this.#place, UploadId: this.#uploadId });
    await this.s3.quick((client, options) => client.send(abort, options)).catch(() => undefined);
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
    try {
      this.#uploadId ??= await this.#begin();
      this.#sent = number;
    } catch (error) {
      part.give(true);
      throw error;
    }
    const sending: Promise<void> = this.#sendPart(number, bytes)
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

  async #begin(): Promise<string> {
    const create = new CreateMultipartUploadCommand({
      ...this.#place,
      ChecksumAlgorithm: 'CRC32',
      Metadata: { [PUT_MARK]: this.#mark },
    });
    const { UploadId: id } = await this.s3.quick((client, options) => client.send(create, options));
    if (id === undefined) throw new DomainError('store_unavailable');
    return id;
  }

  async #sendPart(number: number, bytes: Buffer): Promise<void> {
    const command = new UploadPartCommand({
      ...this.#place,
      UploadId: this.#uploadId,
      PartNumber: number,
      Body: bytes,
      ChecksumAlgorithm: 'CRC32',
    });
    command.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
    const sent = await this.s3.heavy((client, options) => client.send(command, options), this.#aborter.signal);
    const checksum = sent.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: sent.ChecksumCRC32 };
    this.#parts[number - 1] = { PartNumber: number, ETag: sent.ETag, ...checksum };
  }

  async #putWhole(): Promise<void> {
    const command = new PutObjectCommand({
      ...this.#place,
      Body: this.#part?.bytes.subarray(0, this.#filled) ?? Buffer.concat(this.#small),
      ChecksumAlgorithm: 'CRC32',
      Metadata: { [PUT_MARK]: this.#mark },
      IfNoneMatch: CREATE_ONLY,
    });
    command.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
    await this.s3.heavy((client, options) => client.send(command, options), this.#aborter.signal);
    this.#giveBack(true);
  }

  async #complete(): Promise<void> {
    if (this.#filled > 0) await this.#send();
    await Promise.all(this.#inFlight);
    this.#requireSound();
    const command = new CompleteMultipartUploadCommand({
      ...this.#place,
      UploadId: this.#uploadId,
      MultipartUpload: { Parts: this.#parts },
      IfNoneMatch: CREATE_ONLY,
    });
    await this.s3.heavy((client, options) => client.send(command, options), this.#aborter.signal);
  }

  /** After an answer that was lost, or a repeated request that met its own object: whether ours is there all the same. */
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
