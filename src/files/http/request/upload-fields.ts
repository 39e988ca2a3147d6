import { ApiBodyOptions } from '@nestjs/swagger';
import { DAY, DomainError, FieldFault, SECOND } from '../../../kernel';
import { ContentRequest, FileName, UploadRequest, fileName, isMediaType } from '../../model/file';

export const UPLOAD_FIELDS = ['name', 'expires_in', 'content_type', 'sha256', 'client_encrypted', 'envelope'] as const;
export type UploadField = (typeof UPLOAD_FIELDS)[number];
export type UploadFields = Readonly<Partial<Record<UploadField, string>>>;

export const MAX_ENVELOPE_BYTES = 16 * 1024;
const DEFAULT_CONTENT_TYPE = 'application/octet-stream';
const MAX_ENVELOPE_DEPTH = 32;
/** A hundred years: beyond any retention, and well within the dates of every store. */
export const MAX_EXPIRY_SECONDS = (100 * 365 * DAY) / SECOND;
/** Where the fields came from: the query of a raw upload, or the parts of a form. */
export type FieldSource = 'query' | 'form';

/** The client's names of fields, where its protocol has others. */
export type FieldWords = Readonly<Partial<Record<UploadField, string>>>;

export function parseUpload(fields: UploadFields, source: FieldSource, words: FieldWords = {}): UploadRequest {
  const parser = new FieldParser(fields, source, words);
  const name = parser.parse('name', nameOf);
  const content = contentFields(parser);
  parser.end();
  if (name === undefined) throw parser.refusal('name', 'must be given');
  return { ...content, name, contentType: content.contentType ?? DEFAULT_CONTENT_TYPE };
}

/** The fields of a new version of a file, which keeps its name. */
export function parseContent(fields: UploadFields, source: FieldSource): ContentRequest {
  const parser = new FieldParser(fields, source);
  const content = contentFields(parser);
  if (fields.name !== undefined) parser.refuse('name', 'is changed by PATCH');
  parser.end();
  return content;
}

const contentFields = (parser: FieldParser): ContentRequest => ({
  contentType: parser.parse('content_type', mediaType),
  expiresInMs: parser.parse('expires_in', expiry),
  sha256: parser.parse('sha256', digest),
  clientEncrypted: parser.parse('client_encrypted', flag) ?? false,
  envelope: parser.parse('envelope', envelope),
});

/**
 * Parses fields one by one and refuses all faulty ones together, with the first reason for each.
 */
class FieldParser {
  readonly #faults: FieldFault[] = [];

  constructor(
    private readonly fields: UploadFields,
    private readonly source: FieldSource,
    private readonly words: FieldWords = {},
  ) {}

  parse<T>(field: UploadField, parser: (text: string) => T): T | undefined {
    const text = this.fields[field];
    if (text === undefined) return undefined;
    try {
      return parser(text);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      this.refuse(field, error.message);
      return undefined;
    }
  }

  refuse(field: UploadField, message: string): void {
    const word = this.words[field] ?? field;
    this.#faults.push({ pointer: `/${word}`, ...(this.source === 'query' && { in: this.source }), message });
  }

  refusal(field: UploadField, message: string): DomainError {
    this.refuse(field, message);
    return new DomainError('validation_failed', { fields: this.#faults });
  }

  /** @throws DomainError `validation_failed` */
  end(): void {
    if (this.#faults.length > 0) throw new DomainError('validation_failed', { fields: this.#faults });
  }
}

/** Its message names the rule that a field breaks, never the value. */
class Unfit extends Error {}

function nameOf(text: string): FileName {
  const parsed = fileName(text);
  if ('fault' in parsed) throw new Unfit(parsed.fault);
  return parsed.name;
}

function mediaType(text: string): string {
  if (!isMediaType(text)) throw new Unfit('must be a media type');
  return text;
}

function expiry(text: string): number {
  const seconds = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_EXPIRY_SECONDS) {
    throw new Unfit(`must be a whole number of seconds from 1 to ${MAX_EXPIRY_SECONDS}`);
  }
  return seconds * SECOND;
}

function digest(text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new Unfit('must be a SHA-256 in 64 hex digits');
  return text.toLowerCase();
}

function flag(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new Unfit('must be true or false');
  return text === 'true';
}

/** The client's own JSON document beside its content, for instance how it encrypted it. */
function envelope(text: string): string {
  if (Buffer.byteLength(text, 'utf8') > MAX_ENVELOPE_BYTES) throw new Unfit('must have at most 16 KiB');
  try {
    const value: unknown = JSON.parse(text);
    if (depth(value) <= MAX_ENVELOPE_DEPTH) return JSON.stringify(value);
  } catch {
    throw new Unfit('must be JSON');
  }
  throw new Unfit(`must be nested at most ${MAX_ENVELOPE_DEPTH} deep`);
}

/**
 * Stops one level beyond the limit, so that a document of brackets alone cannot exhaust the stack.
 */
function depth(value: unknown, above = 0): number {
  if (typeof value !== 'object' || value === null || above > MAX_ENVELOPE_DEPTH) return above;
  return Math.max(above + 1, ...Object.values(value).map((member) => depth(member, above + 1)));
}

const CONTENT = {
  expires_in: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_EXPIRY_SECONDS,
    description: 'Seconds until the file is gone',
  },
  content_type: { type: 'string', description: 'In place of the type of the part' },
  sha256: { type: 'string', pattern: '^[0-9a-fA-F]{64}$', description: 'What the content must have' },
  client_encrypted: {
    type: 'string',
    enum: ['true', 'false'],
    description: 'Whether the client has encrypted the content',
  },
  envelope: {
    type: 'string',
    maxLength: MAX_ENVELOPE_BYTES,
    description: 'JSON beside a content that the client encrypted',
  },
  file: { type: 'string', format: 'binary', description: 'The content; the last part of the form' },
};

const NAME = { type: 'string', description: 'In place of the file name of the part' };

/**
 * The body of an upload, for the OpenAPI document: it is read as a stream, so no DTO describes it.
 */
export const UPLOAD_FORM: ApiBodyOptions = {
  required: true,
  schema: { type: 'object', required: ['file'], properties: { name: NAME, ...CONTENT } },
};

/** The body of a new version. */
export const CONTENT_FORM: ApiBodyOptions = {
  required: true,
  schema: { type: 'object', required: ['file'], properties: CONTENT },
};
