import { Busboy, BusboyInstance } from '@fastify/busboy';
import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { unknownMember } from '../../http';
import { Burst, DomainError, FieldFault } from '../../kernel';
import { Deferred } from './deferred';
import { MAX_ENVELOPE_BYTES, UPLOAD_FIELDS } from '../upload-request';

export const FILE_PART = 'file';
/** What may come in a form beside the bytes of the file: fields, part headers, boundaries, and what a client sends after the end. */
export const MAX_OVERHEAD_BYTES = 1024 * 1024;
const BUFFER_BYTES = 256 * 1024;
const MAX_PART_HEADERS = 20;
const MAX_PART_HEADER_BYTES = 8 * 1024;

/** RFC 7578, section 4.2. What has a line break in it is cut by the parser. */
const NAMED = /^form-data[ \t]*;[^\r\n]*$/i;

interface PartHeaders {
  readonly 'content-disposition'?: readonly string[];
  readonly 'content-type'?: readonly string[];
}

const LIMITS = {
  fieldNameSize: 100,
  fieldSize: MAX_ENVELOPE_BYTES,
  fields: UPLOAD_FIELDS.length,
  files: 1,
  parts: UPLOAD_FIELDS.length + 1,
  headerPairs: MAX_PART_HEADERS,
  headerSize: MAX_PART_HEADER_BYTES,
};

/** A form up to the beginning of its file: the fields that came before it, and the file's bytes, which are still on their way. */
export interface FormHead {
  readonly fields: ReadonlyMap<string, string>;
  /** The file name of the part, path and all as it was sent. */
  readonly fileName: string | undefined;
  /** Undefined where the part does not say it. */
  readonly contentType: string | undefined;
  /** Ends only when the whole form has been read and holds nothing wrong, the closing boundary included; else it throws. */
  readonly content: AsyncIterable<Burst>;
  /** Says that nobody reads on, so that the rest of the body is dropped. Does nothing after the end. */
  close(): void;
}

/**
 * Reads a multipart/form-data body (RFC 7578): fields first, then one part `file`. Resolves when the part `file` begins.
 * @throws DomainError `validation_failed` (broken, or anything in it that does not belong there), `too_large` (all but the file's bytes).
 */
export async function readForm(contentType: string, body: AsyncIterable<Burst>): Promise<FormHead> {
  return await new FormReader(contentType).read(body);
}

class FormReader {
  readonly #parser: BusboyInstance;
  readonly #fields = new Map<string, string>();
  readonly #head = new Deferred<FormHead>();
  readonly #end = new Deferred<void>();
  #fileBegan = false;
  #stream: Readable | undefined;
  #partType: string | undefined;
  #failed = false;
  #ended = false;
  #fileBytes = 0;
  #bytes = 0;
  /** Lets the pump go on after the parser had enough; a callback and no promise of long life, on which waits would pile up. */
  #goOn: () => void = () => undefined;

  constructor(contentType: string) {
    this.#parser = parserFor(contentType)
      .on('field', (name, value, _, truncated) => this.#field(name, value, truncated))
      .on('file', (name, stream, fileName, _, type) => this.#file(name, stream, fileName, type))
      .on('fieldsLimit', () => this.#refuse('', 'has too many fields'))
      .on('partsLimit', () => this.#refuse('', 'has too many parts'))
      .on('filesLimit', () => this.#refuse(`/${FILE_PART}`, 'may be given once'))
      .on('error', () => this.#fail(broken()))
      .on('drain', () => this.#goOn())
      .on('finish', () => this.#finish());
    eachPart(this.#parser, (headers) => this.#part(headers));
  }

  read(body: AsyncIterable<Burst>): Promise<FormHead> {
    void this.#pump(body).catch((fault: unknown) => this.#fail(fault as Error));
    return this.#head.promise;
  }

  /** What the parser would pass over in silence: a part that is no form data, and that a part does not say its type. */
  #part({ 'content-disposition': disposition, 'content-type': type }: PartHeaders): void {
    if (!NAMED.test(disposition?.[0] ?? '')) this.#fail(broken('A part of the form has no name.'));
    this.#partType = type?.[0]?.split(';', 1)[0]?.trim().toLowerCase();
  }

  /** The parser gives `undefined` for a field without a name. */
  #field(name: string | undefined, value: string, truncated: boolean): void {
    if (name === undefined) this.#fail(broken());
    else if (!(UPLOAD_FIELDS as readonly string[]).includes(name)) this.#refuseAll([unknownMember(name)]);
    else if (this.#fileBegan) this.#refuse(`/${name}`, `must come before ${FILE_PART}`);
    else if (this.#fields.has(name)) this.#refuse(`/${name}`, 'may be given once');
    else if (truncated) this.#refuse(`/${name}`, 'is too long');
    else this.#fields.set(name, value);
  }

  #file(name: string, stream: Readable, fileName: string | undefined, type: string): void {
    const contentType = type === this.#partType ? type : undefined;
    // Without a listener an error of this stream would end the process; the parser reports the same one.
    stream.on('error', () => this.#fail(broken()));
    if (name === FILE_PART) {
      this.#fileBegan = true;
      this.#stream = stream;
      const content = this.#content(stream);
      this.#head.resolve({ fields: this.#fields, fileName, contentType, content, close: () => this.#close() });
    } else {
      stream.resume();
      this.#refuse('', 'has a file part that is not known');
    }
  }

  #finish(): void {
    if (!this.#fileBegan) this.#refuse(`/${FILE_PART}`, 'must be given');
    else if (!this.#failed) this.#end.resolve();
    this.#ended = true;
  }

  #close(): void {
    if (!this.#ended) this.#fail(broken());
  }

  async *#content(stream: Readable): AsyncGenerator<Burst, void> {
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

  async #pump(body: AsyncIterable<Burst>): Promise<void> {
    for await (const burst of body) {
      for (const chunk of burst) {
        if (this.#failed) return;
        await this.#write(chunk);
      }
    }
    this.#parser.end();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    if (this.#bytes - this.#fileBytes > MAX_OVERHEAD_BYTES) throw new DomainError('too_large');
    if (!this.#parser.write(chunk)) await this.#drained();
  }

  async #drained(): Promise<void> {
    if (!this.#parser.writableNeedDrain || this.#failed) return;
    await new Promise<void>((resolve) => (this.#goOn = resolve));
  }

  /** The first fault is the one that is told. */
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

function parserFor(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: LIMITS,
      highWaterMark: BUFFER_BYTES,
      fileHwm: BUFFER_BYTES,
      // The name is kept as sent; one with a path in it is refused instead of cut.
      preservePath: true,
      isPartAFile: (name, _, fileName) => name === FILE_PART || fileName !== undefined,
    });
  } catch {
    throw broken();
  }
}

/** Hears the headers of each part before the parser acts on them: it tells no type from `text/plain`, and skips what has no name. */
function eachPart(parser: BusboyInstance, hear: (headers: PartHeaders) => void): void {
  const { parser: parts } = (parser as unknown as { readonly _parser: { readonly parser: EventEmitter } })._parser;
  parts.on('part', (part: EventEmitter) => part.prependListener('header', hear));
}

const broken = (detail = 'The body is not a whole multipart/form-data form.'): DomainError =>
  new DomainError('validation_failed', { detail });
