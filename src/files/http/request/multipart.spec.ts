import { randomBytes } from 'node:crypto';
import { inOne } from '../../../../test/support/messages';
import { ChunkBatch, bytesIn, isDomainError } from '../../../kernel';
import { FormHead, readForm } from './multipart';

const BOUNDARY = 'xYzZY';
const CONTENT_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

const field = (name: string, value: string): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;

function file(content: Buffer | string, disposition = 'name="file"; filename="a.txt"', type = 'text/plain'): Buffer {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\nContent-Type: ${type}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n')]);
}

const INHERITED = Object.getOwnPropertyNames(Object.prototype);

const END = `--${BOUNDARY}--\r\n`;

const form = (...parts: (Buffer | string)[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<ChunkBatch> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield [bytes.subarray(at, at + size)];
  }
}

const read = (bytes: Buffer, size = 64 * 1024): Promise<FormHead> => readForm(CONTENT_TYPE, inPieces(bytes, size));

/** Reads a form to its end: what it is refused with, wherever that shows. */
async function refusalOf(bytes: Buffer, size?: number): Promise<unknown> {
  try {
    const head = await read(bytes, size);
    await inOne(head.content);
    return undefined;
  } catch (error) {
    return error;
  }
}

async function expectRefused(bytes: Buffer, size?: number): Promise<void> {
  const error = await refusalOf(bytes, size);
  expect(isDomainError(error, 'validation_failed')).toBe(true);
}

describe('a form with a file', () => {
  it.each([1, 7, 100, 64 * 1024])('is read from pieces of %d bytes', async (size) => {
    const content = form(randomBytes(3000), `\r\n--${BOUNDAR()}`, randomBytes(3000));
    const head = await read(form(field('expires_in', '60'), field('sha256', 'ab'), file(content), END), size);
    expect(Object.fromEntries(head.fields)).toEqual({ expires_in: '60', sha256: 'ab' });
    expect(head).toMatchObject({ fileName: 'a.txt', contentType: 'text/plain' });
    expect((await inOne(head.content)).equals(content)).toBe(true);
  });

  it.each([
    ['no Content-Type', ''],
    ['an empty one', 'Content-Type: \r\n'],
    ['one that is no type', 'Content-Type: ;charset=utf-8\r\n'],
  ])('has no type of its own with %s', async (_, header) => {
    const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n${header}\r\nx\r\n`;
    const head = await read(form(part, END), 7);
    expect([head.contentType, (await inOne(head.content)).toString()]).toEqual([undefined, 'x']);
  });

  it.each([
    ['Text/Plain; charset=ISO-8859-1', 'text/plain; charset=ISO-8859-1'],
    ['text/plain;charset="utf-8"', 'text/plain;charset="utf-8"'],
    ['Text/Plain; charset', 'text/plain'],
  ])('keeps the type %s, with the parameters that are in order', async (sent, expected) => {
    const head = await read(form(file('x', 'name="file"; filename="a"', sent), END));
    expect(head.contentType).toBe(expected);
    await inOne(head.content);
  });

  it('has its fields in the charset that each part says', async () => {
    const part = (charset: string, value: Buffer): Buffer =>
      Buffer.concat([
        Buffer.from(
          `--${BOUNDARY}\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=${charset}\r\n\r\n`,
        ),
        value,
        Buffer.from('\r\n'),
      ]);
    for (const [charset, value] of [
      ['iso-8859-1', Buffer.from('\u00fc', 'latin1')],
      ['"UTF-8"', Buffer.from('\u00fc')],
      ['utf-16le', Buffer.from('\u00fc', 'utf16le')],
    ] as const) {
      const head = await read(form(part(charset, value), file('x'), END), 7);
      expect(head.fields.get('name')).toBe('\u00fc');
      await inOne(head.content);
    }
    await expectRefused(form(part('klingon', Buffer.from('a')), file('x'), END));
  });

  it.each([1, 1000])('without a file that was chosen is refused at /file, in pieces of %d bytes', async (size) => {
    const nothing = file('', 'name="file"; filename=""', 'application/octet-stream');
    const error = await refusalOf(form(field('name', 'a'), nothing, END), size);
    expect(error).toMatchObject({ code: 'validation_failed', fields: [{ pointer: '/file' }] });
    const head = await read(form(field('name', 'a'), file('x', 'name="file"; filename=""'), END), size);
    expect([head.fileName, (await inOne(head.content)).toString()]).toEqual(['', 'x']);
  });

  it.each(['base64', 'quoted-printable', 'Base64', 'x-uuencode'])('is refused with a part in %s', async (encoding) => {
    const packed = (name: string): string =>
      `--${BOUNDARY}\r\nContent-Disposition: form-data; ${name}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\neA==\r\n`;
    await expectRefused(form(packed('name="file"; filename="a"'), END));
    await expectRefused(form(packed('name="name"'), file('x'), END));
  });

  it.each(['7bit', '8bit', 'binary', 'BINARY'])('may say that a part is in %s', async (encoding) => {
    const head = `--${BOUNDARY}\r\nContent-Transfer-Encoding: ${encoding}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`;
    expect((await inOne((await read(form(head, 'x\r\n', END))).content)).toString()).toBe('x');
  });

  it.each([1, 7, 64 * 1024])('may end with a file and an epilogue, in pieces of %d bytes', async (size) => {
    const content = randomBytes(10_000);
    const head = await read(form(file(content), END, 'e'.repeat(5000)), size);
    expect((await inOne(head.content)).equals(content)).toBe(true);
  });

  it('may hold an empty file', async () => {
    const head = await read(form(file(''), END));
    expect(await inOne(head.content)).toHaveLength(0);
  });

  it('may come without a preamble, with one, and with an epilogue', async () => {
    const head = await read(form('preamble\r\n', file('x'), END, 'epilogue'));
    expect((await inOne(head.content)).toString()).toBe('x');
  });

  it('gives content as it comes, in bounded memory', async () => {
    const total = 32 * 1024 * 1024;
    let sent = 0;
    const head = await readForm(
      CONTENT_TYPE,
      (async function* () {
        yield [file('').subarray(0, -2)];
        while (sent < total) {
          await Promise.resolve();
          sent += 64 * 1024;
          yield [Buffer.alloc(64 * 1024, 7)];
        }
        yield [Buffer.from(`\r\n${END}`)];
      })(),
    );
    let received = 0;
    let furthestAhead = 0;
    for await (const burst of head.content) {
      received += bytesIn(burst);
      furthestAhead = Math.max(furthestAhead, sent - received);
    }
    expect(received).toBe(total);
    expect(furthestAhead).toBeLessThan(2 * 1024 * 1024);
  });

  it.each([
    ['name="file"; filename="a/../b.txt"', 'a/../b.txt'],
    ['name="file"; filename="C:\\\\dir\\\\b.txt"', 'C:\\dir\\b.txt'],
    ['name="file"; filename="qu\\"ote.txt"', 'qu"ote.txt'],
    ['name="file"; filename="日本.txt"', '日本.txt'],
    ['name="file"; filename="😀.txt"', '😀.txt'],
    ['name="file"', undefined],
    ['name=file; filename=plain.txt', 'plain.txt'],
    ["filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt; name=file", '\u65e5\u672c.txt'],
    ['name="file"; filename="??.txt"; filename*=UTF-8\'\'%E6%97%A5%E6%9C%AC.txt', '\u65e5\u672c.txt'],
    ['name="file"; filename*=utf-8\'de\'%E6%97%A5%E6%9C%AC.txt; filename="??.txt"', '\u65e5\u672c.txt'],
    ['name="file"; filename="??.txt"; filename*="UTF-8\'\'%E6%97%A5%E6%9C%AC.txt"', '\u65e5\u672c.txt'],
    ['name="file"; FILENAME*="UTF-8\'\'%E6%97%A5%E6%9C%AC.txt"; filename="??.txt"', '\u65e5\u672c.txt'],
    ['name="file"; filename="?.txt"; filename*=iso-8859-1\'\'%FC.txt', '\u00fc.txt'],
    ['name="file"; filename="semi;colon=.txt"; other=1;', 'semi;colon=.txt'],
    ['name="file"; filename="C:\\path\\x.txt"'.replaceAll('\\\\', '\\'), 'C:\\path\\x.txt'],
  ])('keeps the name of %s whole', async (disposition, expected) => {
    const head = await read(form(file('x', disposition), END));
    expect(head.fileName).toBe(expected);
    await inOne(head.content);
  });

  it.each<[string, Buffer]>([
    ['nothing', form('')],
    ['no part', form(END)],
    ['no file', form(field('name', 'a'), END)],
    ['a field that is not known', form(field('colour', 'red'), file('x'), END)],
    ['a field twice', form(field('name', 'a'), field('name', 'b'), file('x'), END)],
    ['a field after the file', form(file('x'), field('name', 'a'), END)],
    ['two files', form(file('x'), file('y'), END)],
    ['a file part of another name', form(file('x', 'name="upload"; filename="a"'), END)],
    ['another file part before the file', form(file('x', 'name="upload"; filename="a"'), file('y'), END)],
    ['a field beyond 16 KiB', form(field('envelope', 'x'.repeat(16 * 1024 + 1)), file('x'), END)],
    ['10,000 parts', form(...Array.from({ length: 10_000 }, () => field('name', 'a')), file('x'), END)],
    ['a field without a name', form(`--${BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n`, file('x'), END)],
    ['a part without headers', form(`--${BOUNDARY}\r\n\r\nx\r\n`, file('x'), END)],
    ['a part without a disposition', form(`--${BOUNDARY}\r\nX-Other: y\r\n\r\nx\r\n`, file('x'), END)],
    ['a part without a name behind the file', form(file('x'), `--${BOUNDARY}\r\nX-Other: y\r\n\r\nx\r\n`, END)],
    [
      'a part that is an attachment',
      form(`--${BOUNDARY}\r\nContent-Disposition: attachment; name="name"\r\n\r\nx\r\n`, file('x'), END),
    ],
    ['a file name of no charset', form(file('x', 'name="file"; filename*=klingon\'\'a.txt; filename=a'), END)],
    [
      'a file name that is not in its charset',
      form(file('x', 'name="file"; filename*=UTF-8\'\'%FC.txt; filename=a'), END),
    ],
    ['a file name with half an escape', form(file('x', 'name="file"; filename*=UTF-8\'\'%F.txt; filename=a'), END)],
    ['a file name without a charset', form(file('x', 'name="file"; filename*=a.txt'), END)],
    ['a file name in pieces', form(file('x', 'name="file"; filename*0="a"; filename*1=".txt"'), END)],
    ['two file names', form(file('x', 'name="file"; filename="a"; filename="b"'), END)],
    ['a quote that does not end', form(file('x', 'name="file"; filename="a'), END)],
    ['a header beyond 8 KiB', form(file('x', `name="file"; filename="${'a'.repeat(9000)}"`), END)],
    ['no closing boundary', form(file('x'))],
    ['half a closing boundary', form(file('x'), `--${BOUNDARY}-`)],
    ['a file that is cut', form(file('x'.repeat(1000))).subarray(0, -500)],
    ['a part header that is cut', file('x').subarray(0, 30)],
    ['a field that is cut', form(field('name', 'abcdef')).subarray(0, -4)],
    ['another boundary', form('--other\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--other--\r\n')],
    ['bytes that are no form', randomBytes(5000)],
  ])('is refused with %s', async (_, bytes) => {
    await expectRefused(bytes);
    await expectRefused(bytes.subarray(0, 20_000), 3);
  });

  it('is refused with the name of the field that is not known, as a pointer', async () => {
    const error = await refusalOf(form(field('a/colour', 'red'), file('x'), END));
    expect(error).toMatchObject({ fields: [{ pointer: '/a~1colour', message: 'is not known here' }] });
  });

  it.each(INHERITED)('is refused with a field %s as with any that is not known', async (name) => {
    const error = await refusalOf(form(field(name, 'red'), file('x'), END));
    expect(error).toMatchObject({ fields: [{ pointer: `/${name}`, message: 'is not known here' }] });
  });

  it.each(INHERITED)('is read past a header %s of a part', async (name) => {
    const part = `--${BOUNDARY}\r\n${name}: x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n`;
    expect((await inOne((await read(form(part, END))).content)).toString()).toBe('x');
  });

  it('is refused without a boundary', async () => {
    const unbounded = readForm('multipart/form-data', inPieces(form(file('x'), END), 10));
    await expect(unbounded).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('is too large with a megabyte that is not the file', async () => {
    const padding = form('x'.repeat(2 * 1024 * 1024), '\r\n', file('x'), END);
    expect(isDomainError(await refusalOf(padding), 'too_large', 'validation_failed')).toBe(true);
  });

  it('passes on what breaks its source, also in the middle of the file', async () => {
    const fault = new Error('gone');
    const head = await readForm(
      CONTENT_TYPE,
      (async function* () {
        yield [file('x'.repeat(1000)).subarray(0, 500)];
        await Promise.resolve();
        throw fault;
      })(),
    );
    await expect(inOne(head.content)).rejects.toBe(fault);
  });

  it('stops reading its source when the reader of the content stops', async () => {
    let ended = false;
    const head = await readForm(
      CONTENT_TYPE,
      (async function* () {
        try {
          yield [file('').subarray(0, -2)];
          for (;;) {
            await Promise.resolve();
            yield [Buffer.alloc(64 * 1024)];
          }
        } finally {
          ended = true;
        }
      })(),
    );
    for await (const _ of head.content) break;
    head.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(true);
  });
});

/** A boundary that is not quite one, to stand inside a content. */
function BOUNDAR(): string {
  return BOUNDARY.slice(0, -1);
}
