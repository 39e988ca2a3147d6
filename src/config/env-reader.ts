import { StartupError } from '../kernel';

export type Environment = Readonly<Record<string, string | undefined>>;

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/**
 * Reads single variables. An error names the variable and the rule, never the value, which may be a
 * secret. An empty value counts as unset.
 */
export class EnvReader {
  constructor(private readonly env: Environment) {}

  text(name: string, rule = /^[^\0\r\n]+$/, says = 'one line of text'): string | undefined {
    const value = this.env[name]?.trim();
    if (value === undefined || value === '') return undefined;
    if (!rule.test(value)) throw refused(name, `must be ${says}`);
    return value;
  }

  /** Reads a variable with two names; rejects two different values. */
  alias(names: readonly [string, string], read: (name: string) => string | undefined): string | undefined {
    const [first, second] = [read(names[0]), read(names[1])];
    if (first !== undefined && second !== undefined && first !== second) {
      throw refused(names[1], `must be the same as ${names[0]}, or not set`);
    }
    return first ?? second;
  }

  oneOf<const T extends string>(name: string, values: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const known = values.find((candidate) => candidate === value);
    if (known === undefined) throw refused(name, `must be one of ${values.join(', ')}`);
    return known;
  }

  /**
   * Rejects values reserved for features that this version does not have, with a different message
   * than for a typo.
   */
  notYet(name: string, values: readonly string[], offered: string): void {
    if (values.includes(this.text(name) ?? '')) {
      throw refused(name, `has a value that this version does not offer yet; ${offered}`);
    }
  }

  whole(name: string, min: number, max: number, fallback: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (!(number >= min && number <= max)) throw refused(name, `must be a whole number from ${min} to ${max}`);
    return number;
  }

  /** Reads a number of bytes: `1048576`, or with a unit, as in `512 MiB`. */
  bytes(name: string, fallback: number | undefined): number | undefined {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const match = /^(\d{1,15}) ?(B|KiB|MiB|GiB|TiB)?$/.exec(value);
    const size = match === null ? NaN : Number(match[1]) * (UNITS[match[2] ?? 'B'] ?? NaN);
    if (!(Number.isSafeInteger(size) && size > 0)) {
      throw refused(name, 'must be a number of bytes above 0, or one with a unit of KiB, MiB, GiB or TiB');
    }
    return size;
  }

  url(name: string, protocols: readonly string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !protocols.includes(url.protocol)) {
      throw refused(
        name,
        `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
      );
    }
    return value.replace(/\/+$/, '');
  }

  list(name: string, holds: (item: string) => boolean, says: string): readonly string[] {
    const items = (this.text(name) ?? '').split(',').map((item) => item.trim());
    const present = items.filter((item) => item !== '');
    if (!present.every(holds)) throw refused(name, `must be a comma-separated list of ${says}`);
    return Object.freeze(present);
  }
}

export const refused = (name: string, rule: string): StartupError => new StartupError(`${name} ${rule}.`);
