import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartRefused } from '../kernel';
import { EnvReader, refused } from './env-reader';

const MIN_CHARS = 32;
// What .env.example, documentation and guides put where a secret belongs. Good enough to try Coffer, never to keep anything.
const SAMPLES = [
  /change[-_ ]?(me|this)|replace[-_ ]?(me|this|with)|example|sample|placeholder|insecure|your[-_ ]|^<|^(my)?root$/i,
  /^((my|super|top|dev|test|jwt|default)[-_ ]?)*secret|^password|^(dev|development|test|default)[-_ ]/i,
  /^(.)\1+$|^0?123456789|^abcdefgh/i,
];

export const isSample = (value: string): boolean => SAMPLES.some((sample) => sample.test(value));

export interface SecretSource {
  readonly production: boolean;
  readonly dataDir: string;
  /** A new secret of at least 256 bits, as text. Handed in, since random bytes come from crypto/ alone. */
  readonly newSecret: () => string;
}

/** Secrets from the environment or, outside production, made once and kept in DATA_DIR/secrets. */
export class Secrets {
  readonly #generated: string[] = [];

  constructor(
    private readonly env: EnvReader,
    private readonly source: SecretSource,
  ) {}

  /** Which ones are generated, and where they are kept. */
  get generated(): readonly string[] {
    return Object.freeze([...this.#generated]);
  }

  required(name: string, minChars = MIN_CHARS): string {
    const given = this.optional(name, minChars);
    if (given !== undefined) return given;
    if (this.source.production) throw refused(name, 'must be set in production, as with `openssl rand -base64 32`');
    return this.keep(name);
  }

  /** Lengths bind in production (RFC 7518, 3.2, for the token key); a trial may run on what its guide says. */
  optional(name: string, minChars: number): string | undefined {
    const value = this.credential(name);
    if (value !== undefined && this.source.production && value.length < minChars)
      throw refused(name, `must have at least ${minChars} characters`);
    return value;
  }

  /** A secret that another service chose: its length is not ours to judge. */
  credential(name: string): string | undefined {
    const value = this.env.text(name);
    if (value !== undefined && this.source.production && isSample(value)) {
      throw refused(name, 'has a sample value, which production refuses; set one of your own');
    }
    return value;
  }

  private keep(name: string): string {
    const folder = join(this.source.dataDir, 'secrets');
    const path = join(folder, name.toLowerCase().replaceAll('_', '-'));
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const value = existing(path) ?? create(path, this.source.newSecret());
      this.#generated.push(`${name} (${path})`);
      return value;
    } catch (error) {
      throw error instanceof StartRefused
        ? error
        : new StartRefused(`DATA_DIR must be a folder that can be written: ${codeOf(error)}.`);
    }
  }
}

function existing(path: string): string | undefined {
  try {
    const value = readFileSync(path, 'utf8').trim();
    if (value.length < MIN_CHARS)
      throw new StartRefused(`The secret in ${path} is cut short; restore it from a backup.`);
    chmodSync(path, 0o600);
    return value;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes aside, then links: the link fails where another process came first, so two starts at once agree on one value, and a crash
 * in between leaves no half-written secret under the name.
 */
function create(path: string, value: string): string {
  const aside = `${path}.${process.pid}.new`;
  const file = openSync(aside, 'w', 0o600);
  try {
    writeSync(file, `${value}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  syncFolder(join(path, '..'));
  return existing(path) ?? value;
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown fault';
