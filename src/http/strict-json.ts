import { DomainError } from '../kernel';

/** Limits of one body. A body within them costs a few milliseconds, whatever its shape. */
export interface JsonLimits {
  readonly depth: number;
  /** Members of one object. */
  readonly members: number;
  /** Elements of one array. */
  readonly elements: number;
  /** Members and elements of the whole body together. */
  readonly values: number;
}

export const JSON_LIMITS: JsonLimits = { depth: 32, members: 1_000, elements: 10_000, values: 50_000 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
/** Up to this number, names are compared one by one, because a set costs more. */
const FEW = 8;

/**
 * Parses JSON as in RFC 8259 and I-JSON (RFC 7493): UTF-8 without a byte order mark, no duplicate
 * key, no lone surrogate, within `limits`.
 * Two parsers that accept such a text agree on its value. The limits are checked before any value
 * is built.
 * @throws DomainError `invalid_json`
 */
export function parseStrictJson(bytes: Uint8Array, limits = JSON_LIMITS): unknown {
  const text = decode(bytes);
  new Scan(text, limits).run();
  return parse(text);
}

function decode(bytes: Uint8Array): string {
  try {
    // `ignoreBOM` keeps the byte order mark in the text, which JSON.parse then rejects.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('The body is not UTF-8.');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw notJson();
  }
}

const invalid = (detail: string): DomainError => new DomainError('invalid_json', { detail });
const notJson = (): DomainError => invalid('The body is not JSON.');

interface Level {
  /** The names of an open object so far; undefined for an open array. */
  readonly names: Names | undefined;
  /** Number of commas: one less than the members or elements. */
  commas: number;
}

/**
 * Counts values and checks what JSON.parse ignores. It does not know the grammar: JSON.parse
 * rejects invalid JSON afterwards.
 */
class Scan {
  readonly #open: Level[] = [];
  #level: Level | undefined;
  #awaitsKey = false;
  #values = 0;
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly limits: JsonLimits,
  ) {}

  run(): void {
    const { text } = this;
    for (; this.#at < text.length; this.#at += 1) {
      const code = text.charCodeAt(this.#at);
      if (code === QUOTE) this.#string();
      else if (code === COMMA) this.#comma();
      else if (code === OPEN_OBJECT) this.#enter(new Names());
      else if (code === OPEN_ARRAY) this.#enter(undefined);
      else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) this.#leave();
    }
  }

  #enter(names: Names | undefined): void {
    this.#count();
    this.#level = { names, commas: 0 };
    this.#open.push(this.#level);
    this.#awaitsKey = names !== undefined;
    const { depth } = this.limits;
    if (this.#open.length > depth) throw invalid(`The body is nested deeper than ${depth} levels.`);
  }

  #leave(): void {
    this.#open.pop();
    this.#level = this.#open.at(-1);
    this.#awaitsKey = false;
  }

  #comma(): void {
    this.#count();
    const level = this.#level;
    if (level === undefined) return;
    level.commas += 1;
    this.#awaitsKey = level.names !== undefined;
    const { members, elements } = this.limits;
    if (this.#awaitsKey && level.commas >= members) throw invalid(`An object has more than ${members} members.`);
    if (!this.#awaitsKey && level.commas >= elements) throw invalid(`An array has more than ${elements} elements.`);
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > this.limits.values) throw invalid(`The body holds more than ${this.limits.values} values.`);
  }

  /** Reads the string that begins here and ends at its closing quote. */
  #string(): void {
    const begin = this.#at;
    const isEscaped = this.#skipString();
    const isKey = this.#awaitsKey;
    this.#awaitsKey = false;
    // Decoded UTF-8 has no lone surrogate; only an escape can create one.
    if (isEscaped) {
      const value = parse(this.text.slice(begin, this.#at + 1)) as string;
      if (/\p{Surrogate}/u.test(value)) throw invalid('A string holds half of a surrogate pair.');
      if (isKey) this.#key(value);
    } else if (isKey) this.#key(this.text.slice(begin + 1, this.#at));
  }

  #skipString(): boolean {
    const { text } = this;
    let isEscaped = false;
    for (this.#at += 1; this.#at < text.length; this.#at += 1) {
      const code = text.charCodeAt(this.#at);
      if (code === QUOTE) return isEscaped;
      if (code !== BACKSLASH) continue;
      isEscaped = true;
      this.#at += 1;
    }
    throw notJson();
  }

  #key(name: string): void {
    if (this.#level?.names?.add(name) === false) throw invalid('An object has the same key twice.');
  }
}

/** The names of one object. Bodies hold many small objects, so only large ones use a set. */
class Names {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** Returns false for a duplicate name. */
  add(name: string): boolean {
    if (this.#many !== undefined) {
      const before = this.#many.size;
      return this.#many.add(name).size > before;
    }
    if (this.#few.includes(name)) return false;
    this.#few.push(name);
    if (this.#few.length > FEW) this.#many = new Set(this.#few);
    return true;
  }
}
