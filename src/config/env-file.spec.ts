import { parseEnvFile } from './env-file';

const parse = (text: string): unknown => parseEnvFile(Buffer.from(text, 'utf8'));

describe('A file .env', () => {
  it.each([
    ['a byte order mark', '\ufeffPORT=8001\nHOST=::1', { PORT: '8001', HOST: '::1' }],
    ['CRLF', 'PORT=8001\r\nSMTP_PASSWORD=abc\r\n', { PORT: '8001', SMTP_PASSWORD: 'abc' }],
    ['CR alone', 'PORT=8001\rHOST=h', { PORT: '8001', HOST: 'h' }],
    ['a # in a value', 'SMTP_PASSWORD=ab#cd', { SMTP_PASSWORD: 'ab#cd' }],
    ['a value that begins with #, quoted', "SMTP_PASSWORD='#cd ef'", { SMTP_PASSWORD: '#cd ef' }],
    ['a comment behind a value', 'PORT=8001 # the port', { PORT: '8001' }],
    ['a comment behind a quoted value', 'A="x#y"  # why', { A: 'x#y' }],
    ['a comment in place of a value', 'A= # nothing', { A: '' }],
    ['comments and blank lines', '# one\n\n  # two\nA=1', { A: '1' }],
    ['blanks around', '  A = 1 \n', { A: '1' }],
    ['export', 'export A=1', { A: '1' }],
    ['= and quotes within a value', 'URL=mongodb://u:p=\'"@h/?a=b', { URL: 'mongodb://u:p=\'"@h/?a=b' }],
    ['a backslash', 'A=c:\\data\\new', { A: 'c:\\data\\new' }],
    ['a dollar sign', 'A=pa$$word${X}', { A: 'pa$$word${X}' }],
    ['the same name twice: the last one', 'A=1\nA=2', { A: '2' }],
    ['an empty value', 'A=\nB=""', { A: '', B: '' }],
  ])('with %s means what it says', (_what, text, expected) => expect(parse(text)).toEqual(expected));

  it.each([
    ['a line without =', 'A=1\nhunter2', 'Line 2 of .env is no NAME=value.'],
    ['a name that is none', '1A=hunter2', 'Line 1 of .env is no NAME=value.'],
    ['a value that begins with #', 'A=#hunter2', 'Line 1 of .env has a value that begins with #'],
    ['a quote that does not end', 'A="hunter2', 'Line 1 of .env has a quote that does not end'],
    ['text behind a quote', "A='hunter2'x", 'Line 1 of .env has a quote that does not end, or text behind it'],
    ['an escape that programs read differently', 'A="hunter2\\n"', 'Line 1 of .env has a backslash'],
  ])('with %s is refused, without the value', (_what, text, line) => {
    expect(() => parse(text)).toThrow(line);
    expect(() => parse(text)).not.toThrow('hunter2');
  });

  it.each([
    ['UTF-16', Buffer.from('\ufeffPORT=1', 'utf16le')],
    ['Latin-1', Buffer.from('A=M\u00fcller', 'latin1')],
  ])('in %s is refused', (_what, bytes) => expect(() => parseEnvFile(bytes)).toThrow('.env is not UTF-8'));
});
