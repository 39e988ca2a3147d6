import { StartupError } from '../../kernel';

/** Options that may stand in the URL with the value that Coffer sets anyway. Names as the driver compares them, in lower case. */
const GUARANTEED: ReadonlyMap<string, string> = new Map([
  ['w', 'majority'],
  ['j', 'true'],
  ['journal', 'true'],
  ['readconcernlevel', 'majority'],
  ['readpreference', 'primary'],
  ['retrywrites', 'true'],
]);

/** Options that change what a write or a read means, whatever their value. */
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

/** Credentials and hosts, as the driver's parser cuts them off: a password may hold a question mark. */
const BEFORE_PATH = /^[^/]+:\/\/(?:[^:@]*(?::[^@]*)?@)?[^/?@]*/;

/**
 * The URL goes before the options of the driver's call in some of what Coffer's guarantees rest on. The line names the option and never a
 * value. @throws StartupError
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
