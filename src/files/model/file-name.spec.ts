import { fileName } from './file';

const long = (bytes: number): string => 'x'.repeat(bytes);

describe('a file name', () => {
  it.each([
    'report.pdf',
    'a"b\'c.txt',
    'back\\slash',
    'two  spaces ',
    ' .hidden',
    '...',
    'line\nbreak',
    '%2F',
    '日本語.txt',
    '😀👩‍👩‍👧.png',
    'e\u0301 and \u00e9',
    '$gt',
    '{"$ne":null}',
    long(255),
    'ü'.repeat(127),
  ])('may be %j, and is kept as it was sent', (name) => {
    expect(fileName(name)).toEqual({ name });
  });

  it.each([
    ['', 'empty'],
    ['.', 'or ..'],
    ['..', 'or ..'],
    ['a/b', 'slash'],
    ['../etc/passwd', 'slash'],
    ['/', 'slash'],
    ['a\0b', 'NUL'],
    ['\ud800', 'Unicode'],
    ['a\udfffb', 'Unicode'],
    ['was \ufffd bytes', 'Unicode'],
    [long(256), '255 bytes'],
    [long(300), '255 bytes'],
    ['ü'.repeat(128), '255 bytes'],
    ['😀'.repeat(64), '255 bytes'],
  ])('may not be %j', (name, why) => {
    const parsed = fileName(name);
    expect('fault' in parsed && parsed.fault).toContain(why);
  });
});
