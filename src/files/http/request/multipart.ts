import { Dicer } from '@fastify/busboy';
import { Readable } from 'node:stream';
import { unknownMember } from '../../../http';
import { ChunkBatch, DomainError, FieldFault } from '../../../kernel';
import { PartHeaders, RawPartHeaders, UnfitPart, boundaryOf, fieldText, partHeaders } from './part-headers';
import { MAX_ENVELOPE_BYTES, UPLOAD_FIELDS } from './upload-fields';

/**
 * A promise that is settled from outside, once. A rejection that nobody awaits is not unhandled.
 */
export class Deferred<T> {
  readonly promise: Promise<T>;
  #resolve: (value: T) => void = () => undefined;
  #reject: (fault: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(() => undefined);
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  reject(fault: Error): void {
    this.#reject(fault);
  }
}

export const FILE_PART = 'file';
/**
 * The most that a form may hold besides its file: fields, part headers, boundaries, an epilogue.
 */
export const MAX_OVERHEAD_BYTES = 1024 * 1024;
const BUFFER_BYTES = 256 * 1024;
const MAX_PARTS = UPLOAD_FIELDS.length + 1;
const MAX_PART_HEADERS = 20;
const MAX_PART_HEADER_BYTES = 8 * 1024;

/** The fields of a form, and the content of its file, which has not been read. */
export interface FormHead {
  readonly fields: ReadonlyMap<string, string>;
  /** The file name of the part, path and all as it was sent. */
  readonly fileName: string | undefined;
  /** Undefined where the part does not say it. */
  readonly contentType: string | undefined;
  /**
   * Ends when the whole form has been read and is valid, with its closing boundary; else it throws.
   */
  readonly content: AsyncIterable<ChunkBatch>;
  /** Discards the rest of the body. Does nothing after the end. */
  close(): void;
}

/**
 * Reads a multipart/form-data body (RFC 7578): fields first, then one part `file`. Resolves when
 * the part `file` begins.
 * @throws DomainError `validation_failed` (malformed, or with unknown parts), `too_large` (without
 * the file).
 */
export async function readForm(contentType: string, body: AsyncIterable<ChunkBatch>): Promise<FormHead> {
  return await new FormReader(contentType).read(body);
}

class FormReader {
  readonly #parser: Dicer;
  readonly #fields = new Map<string, string>();
  /** Names of the fields that began, in order: a part ends later than the next one begins. */
  readonly #names = new Set<string>();
  readonly #texts: Promise<void>[] = [];
  readonly #head = new Deferred<FormHead>();
  readonly #end = new Deferred<void>();
  #parts = 0;
  #headless = 0;
  #stream: Readable | undefined;
  #failed = false;
  #ended = false;
  #fileBytes = 0;
  #bytes = 0;
  /**
   * Resumes the pump after backpressure. A callback, since waits would accumulate on one long-lived
   * promise.
   */
  #goOn: () => void = () => undefined;

  constructor(contentType: string) {
    this.#parser = parserFor(contentType)
      .on('part', (part) => this.#part(part))
      .on('error', () => this.#fail(broken()))
      .on('drain', () => this.#goOn())
      .on('finish', () => this.#finish());
  }

  read(body: AsyncIterable<ChunkBatch>): Promise<FormHead> {
    void this.#pump(body).catch((fault: unknown) => this.#fail(fault as Error));
    return this.#head.promise;
  }

  #part(part: Readable): void {
    // Without a listener an error of this stream would end the process. The parser reports it too.
    part.on('error', () => this.#fail(broken()));
    this.#parts += 1;
    this.#headless += 1;
    if (this.#parts > MAX_PARTS) this.#refuse('', 'has too many parts');
    part.once('header', (headers: RawPartHeaders) => {
      this.#headless -= 1;
      this.#begin(part, headers);
    });
  }

  #begin(part: Readable, raw: RawPartHeaders): void {
    const headers = this.#attempt(() => {
      requireBounded(raw);
      return partHeaders(raw);
    });
    if (headers === undefined || this.#failed) part.resume();
    else if (headers.name === FILE_PART) this.#file(part, headers);
    else if (headers.fileName === undefined) this.#field(part, headers);
    else {
      part.resume();
      this.#refuse('', 'has a file part that is not known');
    }
  }

  #field(part: Readable, { name, charset }: PartHeaders): void {
    if (!(UPLOAD_FIELDS as readonly string[]).includes(name)) this.#refuseAll([unknownMember(name)]);
    else if (this.#stream !== undefined) this.#refuse(`/${name}`, `must come before ${FILE_PART}`);
    else if (this.#names.has(name)) this.#refuse(`/${name}`, 'may be given once');
    this.#names.add(name);
    this.#texts.push(this.#text(part, name, charset));
  }

  async #text(part: Readable, name: string, charset: string): Promise<void> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of part as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes <= MAX_ENVELOPE_BYTES) chunks.push(chunk);
        else this.#refuse(`/${name}`, 'is too long');
      }
    } catch {
      this.#fail(broken());
    }
    const text = this.#attempt(() => fieldText(Buffer.concat(chunks), charset));
    if (text !== undefined) this.#fields.set(name, text);
  }

  #file(part: Readable, { fileName, contentType }: PartHeaders): void {
    if (this.#stream !== undefined) {
      part.resume();
      this.#refuse(`/${FILE_PART}`, 'may be given once');
      return;
    }
    this.#stream = part;
    const content = this.#content(part);
    void this.#described(part, fileName).then(() =>
      this.#head.resolve({ fields: this.#fields, fileName, contentType, content, close: () => this.#close() }),
    );
  }

  /**
   * Waits for the fields. A browser sends an empty file without a name where the user chose none.
   */
  async #described(part: Readable, fileName: string | undefined): Promise<void> {
    await Promise.all(this.#texts);
    if (fileName === '' && (await isEmpty(part))) this.#refuse(`/${FILE_PART}`, 'must be chosen');
  }

  #finish(): void {
    if (this.#stream === undefined) this.#refuse(`/${FILE_PART}`, 'must be given');
    else if (this.#headless > 0) this.#fail(broken());
    else if (!this.#failed) this.#end.resolve();
    this.#ended = true;
    this.#goOn();
  }

  #close(): void {
    if (!this.#ended) this.#fail(broken());
  }

  async *#content(stream: Readable): AsyncGenerator<ChunkBatch, void> {
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        this.#fileBytes += chunk.length;
        yield [chunk];
      }
    } catch {
      this.#fail(broken());
    }
    await this.#end.promise;
  }

  async #pump(body: AsyncIterable<ChunkBatch>): Promise<void> {
    for await (const burst of body) {
      for (const chunk of burst) {
        if (this.#failed) return;
        await this.#write(chunk);
      }
    }
    if (this.#parser.writable) this.#parser.end();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    if (this.#bytes - this.#fileBytes > MAX_OVERHEAD_BYTES) throw new DomainError('too_large');
    // After the closing boundary the parser takes nothing more: what follows it is an epilogue.
    if (this.#parser.writable && !this.#parser.write(chunk)) await this.#drained();
  }

  async #drained(): Promise<void> {
    if (!this.#parser.writableNeedDrain || this.#failed || this.#ended) return;
    await new Promise<void>((resolve) => (this.#goOn = resolve));
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#fail(error instanceof UnfitPart ? broken(error.message) : (error as Error));
      return undefined;
    }
  }

  /** The first error is the one that is reported. */
  #fail(fault: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#head.reject(fault);
    this.#end.reject(fault);
    this.#stream?.destroy();
    this.#goOn();
  }

  /** `pointer` names the field, never what was sent in its place. */
  #refuse(pointer: string, message: string): void {
    this.#refuseAll([{ pointer, message }]);
  }

  #refuseAll(fields: readonly FieldFault[]): void {
    this.#fail(new DomainError('validation_failed', { fields }));
  }
}

function parserFor(contentType: string): Dicer {
  try {
    // One more than is allowed, so that an excess is noticed.
    const bounds = { maxHeaderPairs: MAX_PART_HEADERS + 1, maxHeaderSize: 2 * MAX_PART_HEADER_BYTES };
    const buffers = { partHwm: BUFFER_BYTES, highWaterMark: BUFFER_BYTES };
    return new Dicer({ boundary: boundaryOf(contentType), ...bounds, ...buffers });
  } catch {
    throw broken();
  }
}

/** @throws UnfitPart */
function requireBounded(headers: RawPartHeaders): void {
  const values = Object.values(headers).flatMap((all) => all ?? []);
  const bytes = values.reduce((sum, value) => sum + value.length, Object.keys(headers).join('').length);
  if (values.length > MAX_PART_HEADERS || bytes > MAX_PART_HEADER_BYTES) {
    throw new UnfitPart('A part of the form has too many headers.');
  }
}

/** Whether a stream ends without a byte. Takes nothing from it. */
async function isEmpty(stream: Readable): Promise<boolean> {
  if (stream.readableLength > 0) return false;
  return new Promise((resolve) => {
    stream.once('readable', () => resolve(stream.readableLength === 0));
    for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve(true));
  });
}

const broken = (detail = 'The body is not a whole multipart/form-data form.'): DomainError =>
  new DomainError('validation_failed', { detail });
