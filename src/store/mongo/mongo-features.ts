import { mongo } from 'mongoose';
import { StartupError } from '../../kernel';

/**
 * CommandNotFound, CommandNotSupported, NotImplemented, and the code of Amazon's server for an
 * unsupported feature.
 */
const LACKS: ReadonlySet<unknown> = new Set([59, 115, 238, 303]);
const FEATURES: Readonly<Record<string, string>> = {
  partialFilterExpression: 'partial indexes (partialFilterExpression)',
  expireAfterSeconds: 'indexes with an expiry (expireAfterSeconds)',
};
/**
 * A name of MongoDB's protocol, such as an option or a command; no other text of a server goes into
 * a log line.
 */
const NAMED = /(?:option|command|stage|supported:?|cmd:?|operator)\W{1,4}(\$?[a-zA-Z]{3,40})\b/i;

/** True if the server speaks MongoDB's protocol but lacks a part of it. */
export const lacksFeature = (error: unknown): boolean =>
  error instanceof mongo.MongoServerError &&
  (LACKS.has(error.code) || /^Index option "\w+" is (not implemented yet|unknown)/.test(error.message));

/** Creates the error for the operator, with the name of the server. */
export async function lackingServer(error: unknown, db: mongo.Db | undefined): Promise<StartupError> {
  const feature = featureOf(error instanceof Error ? error.message : '');
  return new StartupError(
    `${await nameOf(db)} at MONGODB_URL lacks ${feature}, which Coffer needs: ` +
      'use MongoDB 7 or later (docs/operations.md lists what was tried).',
    { cause: error },
  );
}

function featureOf(text: string): string {
  const known = Object.keys(FEATURES).find((name) => text.includes(name));
  return (known !== undefined ? FEATURES[known] : NAMED.exec(text)?.[1]) ?? 'a part of the protocol';
}

/** Other servers report a MongoDB version as their own; some also report their name. */
async function nameOf(db: mongo.Db | undefined): Promise<string> {
  const info: Readonly<Record<string, unknown>> = (await db?.command({ buildInfo: 1 }).catch(() => undefined)) ?? {};
  const ferretdb = info['ferretdb'] as { readonly version?: unknown } | undefined;
  const version = info['ferretdbVersion'] ?? ferretdb?.version;
  if (typeof version === 'string') return `FerretDB ${printable(version)}`;
  return `The server (it says MongoDB ${printable(info['version'])})`;
}

const printable = (text: unknown): string =>
  typeof text === 'string' ? text.replace(/[^\w.+ -]/g, '').slice(0, 40) : 'of no version';
