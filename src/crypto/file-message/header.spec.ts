import * as fc from 'fast-check';
import { isDomainError } from '../../kernel';
import { newKey } from '../random';
import { encodeFileContext, FileContext, keyExport } from './file-context';
import { headerSize, newHeader, openHeader } from './header';
import { parseHeader } from './header-parser';

const context: FileContext = { fileId: 'f1', ownerId: 'o1', version: 3 };
const fileKey = newKey();

describe('a header', () => {
  it('has the size that its context foretells', () => {
    for (const each of [context, { ...context, attempt: 12 }, { ...context, fileId: 'ü'.repeat(40) }]) {
      expect(newHeader(fileKey, each).header).toHaveLength(headerSize(each));
    }
  });

  it('writes its context sorted, with lengths', () => {
    expect(encodeFileContext({ ...context, attempt: 1 }).toString('latin1')).toBe(
      '\0\x04\0\x0ecoffer:attempt\0\x011\0\x0bcoffer:file\0\x02f1\0\x0ccoffer:owner\0\x02o1\0\x0acoffer:ver\0\x013',
    );
  });

  it('opens to the frame key that it was made with', () => {
    const made = newHeader(fileKey, context);
    expect(openHeader(made.header, fileKey, context).frameKey.bytes.equals(made.frameKey.bytes)).toBe(true);
  });

  it('shows a raw AES keyring what to look for', () => {
    expect(keyExport(fileKey, context)).toEqual({
      namespace: 'coffer',
      keyName: 'file/f1/3',
      key: fileKey.bytes.toString('hex'),
    });
  });
});

describe('the header parser', () => {
  const valid = newHeader(fileKey, context).header;
  const refusesOrParses = (bytes: Buffer): boolean => {
    try {
      return parseHeader(bytes).body.length < bytes.length;
    } catch (fault) {
      return isDomainError(fault, 'decryption_failed');
    }
  };

  it('answers any bytes with a header or a decryption fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => refusesOrParses(Buffer.from(bytes))),
      { numRuns: 3000 },
    );
  });

  it('answers a valid header with bytes changed, cut, doubled or put in the same way', () => {
    const edit = fc.record({
      at: fc.nat({ max: valid.length - 1 }),
      remove: fc.nat({ max: 8 }),
      insert: fc.uint8Array({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let bytes = valid;
        for (const { at, remove, insert } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        }
        return refusesOrParses(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  it.each(Array.from({ length: 12 }, (_, index) => index * 20))('refuses a header cut to %i bytes', (length) => {
    expect(() => parseHeader(valid.subarray(0, length))).toThrow('decryption_failed');
  });

  it('refuses lengths that point far beyond the end', () => {
    const forged = Buffer.from(valid);
    forged.writeUInt16BE(0xffff, 35);
    expect(() => parseHeader(forged)).toThrow('decryption_failed');
  });

  it.each([0, 1024, 4095, 5000, 65_537, 2 ** 21, 2 ** 31, 2 ** 32 - 1])('refuses frames of %i bytes', (length) => {
    const forged = Buffer.from(valid);
    forged.writeUInt32BE(length, valid.length - 16 - 32 - 4);
    expect(() => parseHeader(forged)).toThrow('decryption_failed');
  });

  it('refuses a second encrypted data key', () => {
    const forged = Buffer.from(valid);
    forged.writeUInt16BE(2, 35 + 2 + encodeFileContext(context).length);
    expect(() => parseHeader(forged)).toThrow('decryption_failed');
  });
});
