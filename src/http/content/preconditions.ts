import { DomainError, SECOND } from '../../kernel';

/** The headers that make a request conditional (RFC 9110, 13.1), as Node gives them. */
export interface ConditionHeaders {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-modified-since'?: string | undefined;
  readonly 'if-unmodified-since'?: string | undefined;
  readonly 'if-range'?: string | undefined;
}

/** What conditions are held against. `modifiedAt` in ms since the epoch. */
export interface Validators {
  /** A strong entity tag, quotes included. */
  readonly etag: string;
  readonly modifiedAt: number;
}

/**
 * The outcome of the preconditions, in the order of RFC 9110, 13.2.2, for GET and HEAD.
 * @throws DomainError `precondition_failed`.
 */
export function evaluate(headers: ConditionHeaders, current: Validators): 'proceed' | 'not-modified' {
  if (headers['if-match'] !== undefined) {
    if (!names(headers['if-match'], current.etag, strong)) throw failed();
  } else if (unmodifiedSince(headers['if-unmodified-since'], current) === false) {
    throw failed();
  }
  if (headers['if-none-match'] !== undefined) {
    return names(headers['if-none-match'], current.etag, weak) ? 'not-modified' : 'proceed';
  }
  return unmodifiedSince(headers['if-modified-since'], current) === true ? 'not-modified' : 'proceed';
}

/**
 * Whether a Range may be honoured: without If-Range always, else only for exactly this state of the content (13.1.5). A date never says
 * that: a content may change twice within the second that it names.
 */
export const rangeApplies = (ifRange: string | undefined, current: Validators): boolean =>
  ifRange === undefined || ifRange.trim() === current.etag;

const strong = (tag: string): string => tag;
const weak = (tag: string): string => tag.replace(/^W\//, '');

/** A list of entity tags, or `*`. Our own tags hold no comma, so a split cannot make one up out of another. */
const names = (list: string, etag: string, form: (tag: string) => string): boolean =>
  list.trim() === '*' || list.split(',').some((tag) => form(tag.trim()) === etag);

/** Undefined where there is no header or it holds no date: such a header is ignored. */
function unmodifiedSince(header: string | undefined, current: Validators): boolean | undefined {
  const since = header === undefined ? undefined : httpDate(header);
  return since === undefined ? undefined : wholeSeconds(current.modifiedAt) <= since;
}

/** HTTP dates have seconds, so what they are compared with must have no more. */
const wholeSeconds = (ms: number): number => Math.floor(ms / SECOND) * SECOND;

function httpDate(text: string): number | undefined {
  const ms = /GMT\s*$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const failed = (): DomainError =>
  new DomainError('precondition_failed', { detail: 'The resource does not match the precondition of the request.' });
