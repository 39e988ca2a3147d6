import { StartupError } from '../../kernel';

/**
 * Options that the URL may set to Coffer's own value only. Names in lower case, as the driver
 * compares them.
 */
const GUARANTEED: ReadonlyMap<string, string> = new Map([
  ['w', 'majority'],
  ['j', 'true'],
  ['journal', 'true'],
  ['readconcernlevel', 'majority'],
  ['readpreference', 'primary'],
  ['retrywrites', 'true'],
]);

/** Options that change the semantics of writes or reads; rejected with any value. */
const REFUSED: ReadonlySet<string> = new Set([
  ...[
    'writeconcern',
    'wtimeout',
    'wtimeoutms',
    'timeoutms',
    'readconcern',
    'readpreferencetags',
    'maxstalenessseconds',
  ],
  ...['raw', 'promotevalues', 'promotelongs', 'promotebuffers', 'usebigint64', 'bsonregexp', 'ignoreundefined'],
  ...['serializefunctions', 'forceserverobjectid', 'checkkeys', 'enableutf8validation', 'fieldsasraw'],
]);

/**
 * Credentials and hosts, as the driver's parser separates them: a password may hold a question
 * mark.
 */
const BEFORE_PATH = /^[^/]+:\/\/(?:[^:@]*(?::[^@]*)?@)?[^/?@]*/;

/**
 * Rejects URL options that would override the guarantees of Coffer, because some URL options take
 * precedence over the driver's. The error names the option and never a value.
 * @throws StartupError
 */
export function refuseOtherGuarantees(url: string): void {
  const rest = url.replace(BEFORE_PATH, '');
  const at = rest.indexOf('?');
  if (at === -1) return;
  for (const [name, value] of new URLSearchParams(rest.slice(at + 1))) {
    const known = name.toLowerCase();
    const expected = GUARANTEED.get(known);
    if (expected !== undefined && value !== expected)
      throw refused(name, `it may have the value ${expected} only, which Coffer sets by itself`);
    if (REFUSED.has(known)) throw refused(name, 'leave it out');
  }
}

const refused = (name: string, says: string): StartupError =>
  new StartupError(`MONGODB_URL has the option ${name}, which overrides what Coffer promises of its store: ${says}.`);
