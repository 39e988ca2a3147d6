import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** What scripts/freeze-installation.mjs writes beside a frozen data folder. */
export interface FrozenInstallation {
  readonly name: string;
  /** ms since the epoch. What ends after some days is looked at as of this time. */
  readonly frozen_at: number;
  readonly env: Readonly<Record<string, string>>;
  readonly people: Readonly<Record<'admin' | 'alice' | 'bob', FrozenPerson>>;
  readonly others: number;
  readonly records: readonly FrozenRecord[];
  readonly files: Readonly<Record<string, FrozenFile>>;
  readonly group: { readonly id: string; readonly name: string };
  readonly grants: readonly { readonly id: string; readonly state: string }[];
  readonly link: { readonly id: string; readonly token: string; readonly file: string; readonly password: string };
  readonly upload_link: { readonly id: string; readonly token: string; readonly password: string };
  readonly idempotent: { readonly key: string; readonly json: object; readonly answer: object };
  readonly upload: FrozenContent & { readonly path: string; readonly name: string; readonly sent: number };
  readonly erased: FrozenPerson & { readonly answer: object };
  readonly finished: { readonly id: string; readonly target_version: number };
  readonly paused: { readonly id: string; readonly target_version: number; readonly total: number };
  readonly public_key: string;
}

export interface FrozenPerson {
  readonly id: string;
  readonly role: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly totp_secret?: string;
  readonly recovery_codes?: readonly string[];
}

export interface FrozenRecord {
  readonly owner: 'admin' | 'alice' | 'bob';
  readonly id: string;
  readonly data_type: string;
  readonly value: string;
}

export interface FrozenContent {
  readonly seed: number;
  readonly size: number;
  readonly sha256: string;
}

export interface FrozenFile {
  readonly view: { readonly id: string; readonly name: string; readonly version: number; readonly size: number };
  readonly versions: readonly FrozenContent[];
  readonly trashed?: boolean;
  readonly exported?: object;
}

const folder = join(__dirname, '../vectors/installations');

export const frozenNames = (): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

export const frozenInstallation = (name: string): FrozenInstallation =>
  JSON.parse(readFileSync(join(folder, name, 'manifest.json'), 'utf8')) as FrozenInstallation;

/** A copy of the data folder in a new place; who asked for it removes it. */
export function copyOf(name: string): { readonly dataDir: string; remove(): void } {
  const dataDir = mkdtempSync(join(tmpdir(), 'coffer-frozen-'));
  cpSync(join(folder, name, 'data-dir'), dataDir, { recursive: true });
  for (const each of readdirSync(dataDir, { recursive: true }) as string[]) {
    if (!each.endsWith('.gz')) continue;
    const path = join(dataDir, each);
    writeFileSync(path.slice(0, -'.gz'.length), gunzipSync(readFileSync(path)), { mode: 0o600 });
    rmSync(path);
  }
  return { dataDir, remove: () => rmSync(dataDir, { recursive: true, force: true }) };
}

/** As scripts/lib/frozen-contents.mjs made it. */
export const patternOf = ({ seed, size }: FrozenContent): Buffer =>
  Buffer.from(Array.from({ length: size }, (_, at) => (at * seed + at) % 251));

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
