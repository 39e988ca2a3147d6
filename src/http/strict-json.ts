import { DomainError } from '../kernel';

/** Names that reach into prototypes: refused as keys wherever they stand. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const MAX_DEPTH = 32;
const QUOTE = '"';

/**
 * JSON as RFC 8259 and I-JSON (RFC 7493) have it: UTF-8 without a mark, no key twice, no lone surrogate, at most 32 levels. Two parsers
 * that take such a text never disagree about it. @throws DomainError `invalid_json`
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  const value = parse(text);
  new Scan(text).run();
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    // `ignoreBOM` keeps the mark in the text, where JSON.parse then refuses it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid('The body is not UTF-8.');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid('The body is not JSON.');
  }
}

const invalid = (detail: string): DomainError => new DomainError('invalid_json', { detail });

/** Looks at what JSON.parse passes over. Runs on text that JSON.parse has accepted, so it needs no grammar of its own. */
class Scan {
  /** The keys seen so far in each open object; undefined for an open array. */
  private readonly open: (Set<string> | undefined)[] = [];
  private awaitsKey = false;
  private at = 0;

  constructor(private readonly text: string) {}

  run(): void {
    for (; this.at < this.text.length; this.at += 1) this.step(this.text.charAt(this.at));
  }

  private step(char: string): void {
    if (char === QUOTE) this.string();
    else if (char === '{') this.enter(new Set());
    else if (char === '[') this.enter(undefined);
    else if (char === ',') this.awaitsKey = this.open.at(-1) !== undefined;
    else if (char === '}' || char === ']') this.leave();
  }

  private enter(keys: Set<string> | undefined): void {
    this.open.push(keys);
    this.awaitsKey = keys !== undefined;
    if (this.open.length > MAX_DEPTH) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`);
  }

  private leave(): void {
    this.open.pop();
    this.awaitsKey = false;
  }

  private string(): void {
    const value = this.take();
    if (/\p{Surrogate}/u.test(value)) throw invalid('A string holds half of a surrogate pair.');
    if (!this.awaitsKey) return;
    this.awaitsKey = false;
    this.key(value, this.open.at(-1));
  }

  private key(name: string, seen: Set<string> | undefined): void {
    if (FORBIDDEN_KEYS.has(name)) throw invalid('An object has a key with a reserved name.');
    if (seen?.has(name) === true) throw invalid('An object has the same key twice.');
    seen?.add(name);
  }

  /** The string that begins here; stands on its closing quote afterwards. */
  private take(): string {
    const begin = this.at;
    let escaped = false;
    for (this.at += 1; this.text.charAt(this.at) !== QUOTE; this.at += 1) {
      if (this.text.charAt(this.at) !== '\\') continue;
      escaped = true;
      this.at += 1;
    }
    const raw = this.text.slice(begin, this.at + 1);
    return escaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  }
}
