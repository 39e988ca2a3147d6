import { StartupError } from '../kernel';
import { admin } from './admin';
import { backup } from './backup';
import { blobs } from './blobs';
import { keys } from './keys';
import { receipts } from './receipts';
import { type Command, WrongUsage, outcomeOf } from './run';

const COMMANDS: readonly (readonly [string, Command])[] = [
  ['admin', admin],
  ['backup', backup],
  ['blobs', blobs],
  ['keys', keys],
  ['receipts', receipts],
];

const UNDERSTOOD: Readonly<Record<string, readonly (readonly string[])[]>> = {
  admin: [
    ['users'],
    ['grant', 'a'],
    ['revoke', 'a'],
    ['unlock', 'a'],
    ['list'],
    ['disable', 'a'],
    ['enable', 'a'],
    ['end-sessions', 'a'],
    ['reset', 'a'],
    ['role', 'a', 'auditor'],
    ['replace-pepper'],
    ['finish-upgrade'],
  ],
  backup: [['folder'], ['./folder of copies']],
  blobs: [['adopt'], ...['s3', 'gridfs', 'filesystem'].map((store) => ['migrate', '--to', store])],
  keys: [
    ...[['status'], ['rotations'], ['rotate'], ['trim', '7', '--token-file', '-']],
    ...['transit', 'kv', 'local'].map((backend) => ['migrate', '--to', backend]),
    ...['vault', 'store'].map((location) => ['migrate', '--user-keys', location]),
  ],
  receipts: [
    ...[
      ['public-key'],
      ['issue', 'an-id'],
      ['verify', 'receipt', '--key', 'pem'],
      ['verify', '--key', 'pem', 'receipt'],
    ],
  ],
};

const REFUSED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  admin: [
    ...[[], ['crown', 'a'], ['users', 'all'], ['users', ''], ['finish-upgrade', 'now'], ['replace-pepper', 'x']],
    ...[['grant'], ['grant', ''], ['grant', 'a', 'b'], ['unlock'], ['unlock', 'a', 'b'], ['constructor', 'a']],
    ...[
      ['role', 'a'],
      ['role', 'a', 'root'],
      ['role', '', 'user'],
      ['role', 'a', 'user', 'b'],
      ['reset'],
      ['reset', 'a', 'b'],
      ['disable'],
      ['list', 'a'],
    ],
  ],
  backup: [[], [''], ['--to'], ['one', 'two']],
  blobs: [
    ...[[], ['adopt', 'it'], ['move'], ['migrate'], ['migrate', '--to'], ['migrate', 's3'], ['migrate', '--to', 'ftp']],
    ...[['migrate', '--to', 's3', 'x']],
  ],
  keys: [
    ...[
      [],
      ['spin'],
      ['rotate', 'now'],
      ['status', '1'],
      ['rotations', '--all'],
      ['trim'],
      ['trim', '1'],
      ['burn', '1'],
    ],
    ...['0', '-1', '1.5', 'x', '1234567890'].map((version) => ['trim', version, '--token-file', 'path']),
    ...[
      ['trim', '1', '--token', 'path'],
      ['trim', '1', '--token-file', ''],
      ['trim', '1', '--token-file', 'a', 'b'],
    ],
    ...[['migrate'], ['migrate', '--to'], ['migrate', '--to', 'vault'], ['migrate', '--user-keys', 'transit']],
    ...[
      ['migrate', '--to', 'constructor'],
      ['migrate', '--to', 'kv', 'now'],
      ['migrate', '--user-keys', 'store', 'x'],
    ],
  ],
  receipts: [
    ...[[], ['verify'], ['verify', 'receipt'], ['verify', '--key', 'pem'], ['verify', 'receipt', '--key']],
    ...[['verify', 'a', 'b', '--key', 'pem'], ['public-key', 'x'], ['issue'], ['issue', 'a', 'b'], ['burn']],
  ],
};

describe.each(COMMANDS)('coffer-server %s', (name, command) => {
  it.each((UNDERSTOOD[name] ?? []).map((args) => [args]))(
    'understands %j, and begins nothing before it is told',
    (args) => {
      expect(command.parse(args)).toEqual(expect.any(Function));
    },
  );

  it.each((REFUSED[name] ?? []).map((args) => [args]))('refuses %j with 2 and its usage', async (args) => {
    expect(() => command.parse(args)).toThrow(WrongUsage);
    expect(await outcomeOf(command, args)).toEqual({ code: 2, out: '', err: command.help });
  });

  it.each([[['--help']], [['-h']], [['anything', '--help']]])('explains itself: %j', async (args) => {
    expect(await outcomeOf(command, args)).toEqual({ code: 0, out: command.help, err: '' });
  });

  it('names itself and its exit codes in its help', () => {
    expect(command.help).toContain(`Usage: coffer-server ${name}`);
    expect(command.help).toContain(`npm run ${name}`);
    expect(command.help).toContain('Exit codes: 0');
    for (const [word] of UNDERSTOOD[name] ?? []) if (name !== 'backup') expect(command.help).toContain(`\n  ${word}`);
  });
});

describe('The outcome of a command', () => {
  const failing = (error: Error): Command => ({ help: 'help', parse: () => () => Promise.reject(error) });

  it('is the text of a foreseen error on one line', async () => {
    const outcome = await outcomeOf(failing(new StartupError('It is\n  not empty.')), []);
    expect(outcome).toEqual({ code: 1, out: '', err: 'coffer: It is not empty.\n' });
  });

  it('is the kind alone of an error that may hold a secret', async () => {
    const outcome = await outcomeOf(failing(new RangeError('password=hunter2')), []);
    expect(outcome).toEqual({ code: 1, out: '', err: 'coffer: The start failed (RangeError).\n' });
  });
});
