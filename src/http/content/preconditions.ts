import { DomainError, SECOND } from '../../kernel';

/** The conditional headers (RFC 9110, 13.1), as Node provides them. */
export interface ConditionHeaders {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-modified-since'?: string | undefined;
  readonly 'if-unmodified-since'?: string | undefined;
  readonly 'if-range'?: string | undefined;
}

/** Validators for the conditions. `modifiedAt` is in ms since the epoch. */
export interface Validators {
  /** A strong entity tag, quotes included. */
  readonly etag: string;
  readonly modifiedAt: number;
}

/**
 * Evaluates the preconditions of GET and HEAD in the order of RFC 9110, 13.2.2.
 * @throws DomainError `precondition_failed`
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
 * True if a Range applies: always without If-Range, else only for exactly this content (13.1.5). A
 * date never suffices, because a content may change twice within one second.
 */
export const rangeApplies = (ifRange: string | undefined, current: Validators): boolean =>
  ifRange === undefined || ifRange.trim() === current.etag;

const strong = (tag: string): string => tag;
const weak = (tag: string): string => tag.replace(/^W\//, '');

/**
 * A list of entity tags, or `*`. Coffer's tags contain no comma, so a split cannot create one from
 * another.
 */
const names = (list: string, etag: string, form: (tag: string) => string): boolean =>
  list.trim() === '*' || list.split(',').some((tag) => form(tag.trim()) === etag);

/** Undefined if there is no header or it holds no date: such a header is ignored. */
function unmodifiedSince(header: string | undefined, current: Validators): boolean | undefined {
  const since = header === undefined ? undefined : httpDate(header);
  return since === undefined ? undefined : wholeSeconds(current.modifiedAt) <= since;
}

/** HTTP dates have a resolution of one second, so the compared time must be rounded too. */
const wholeSeconds = (ms: number): number => Math.floor(ms / SECOND) * SECOND;

function httpDate(text: string): number | undefined {
  const ms = /GMT\s*$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const failed = (): DomainError =>
  new DomainError('precondition_failed', { detail: 'The resource does not match the precondition of the request.' });
