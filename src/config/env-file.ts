import { StartupError } from '../kernel';
import { Environment } from './env-reader';

const NAME = /^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=/;
const QUOTED = /^(['"`])(.*?)\1[ \t]*(?:#.*)?$/;

/**
 * Parses a `.env` file: one `NAME=value` a line, with LF, CRLF or CR, with or without a byte order
 * mark.
 * As in shells and Docker Compose, `#` starts a comment at the start of a line or after a blank.
 * Quotes keep a value unchanged. Ambiguous lines are rejected with their line number, never with
 * the value, which may be a secret.
 * @throws StartupError
 */
export function parseEnvFile(bytes: Uint8Array, file = '.env'): Environment {
  const found: Record<string, string> = {};
  const lines = decoded(bytes, file).split(/\r\n|\n|\r/);
  lines.forEach((line, at) => {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) return;
    const refuse: Refuse = (fault) => new StartupError(`Line ${at + 1} of ${file} ${fault}.`);
    const name = NAME.exec(text);
    if (name?.[1] === undefined) throw refuse('is no NAME=value');
    found[name[1]] = valueOf(text.slice(name[0].length), refuse);
  });
  return found;
}

type Refuse = (fault: string) => StartupError;

function decoded(bytes: Uint8Array, file: string): string {
  try {
    // Strips a UTF-8 byte order mark. The byte order mark of UTF-16 is invalid UTF-8 and fails.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new StartupError(`${file} is not UTF-8: save it as UTF-8.`);
  }
}

function valueOf(text: string, refuse: Refuse): string {
  if (text.startsWith('#')) throw refuse('has a value that begins with #: quote it');
  const value = text.trim();
  if (!/^['"`]/.test(value)) return value.replace(/(^|[ \t])#.*$/, '').trim();
  const [, quote, inner] = QUOTED.exec(value) ?? [];
  if (inner === undefined) throw refuse('has a quote that does not end, or text behind it: quote the whole value');
  if (quote === '"' && inner.includes('\\')) {
    throw refuse("has a backslash between double quotes, which programs read differently: use ' quotes");
  }
  return inner;
}
