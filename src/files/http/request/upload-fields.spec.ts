import { DomainError } from '../../../kernel';
import { UploadFields, parseUpload } from './upload-fields';

const SHA = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

function faultsOf(fields: UploadFields, source: 'query' | 'form' = 'form') {
  try {
    parseUpload(fields, source);
  } catch (error) {
    if (error instanceof DomainError && error.code === 'validation_failed') return error.fields;
    throw error;
  }
  return [];
}

describe('the fields of an upload', () => {
  it('need a name and nothing else', () => {
    expect(parseUpload({ name: 'a' }, 'form')).toEqual({
      name: 'a',
      contentType: 'application/octet-stream',
      expiresInMs: undefined,
      sha256: undefined,
      clientEncrypted: false,
      envelope: undefined,
    });
  });

  it('are parsed, all of them', () => {
    const fields = {
      name: 'a',
      expires_in: '60',
      content_type: 'text/html; charset="utf-8"',
      sha256: SHA.toUpperCase(),
      client_encrypted: 'true',
      envelope: '{ "alg" : "x", "list": [1, null] }',
    };
    expect(parseUpload(fields, 'query')).toEqual({
      name: 'a',
      contentType: 'text/html; charset="utf-8"',
      expiresInMs: 60_000,
      sha256: SHA,
      clientEncrypted: true,
      envelope: '{"alg":"x","list":[1,null]}',
    });
  });

  it.each<[keyof UploadFields, string]>([
    ['name', ''],
    ['name', 'a/b'],
    ['expires_in', ''],
    ['expires_in', '0'],
    ['expires_in', '-1'],
    ['expires_in', '1.5'],
    ['expires_in', '1e3'],
    ['expires_in', ' 60'],
    ['expires_in', '0x10'],
    ['expires_in', 'Infinity'],
    ['expires_in', '99999999999'],
    ['content_type', ''],
    ['content_type', 'text'],
    ['content_type', 'text/'],
    ['content_type', 'text/html\r\nset-cookie: a=b'],
    ['content_type', 'text/html; charset'],
    ['content_type', `text/${'x'.repeat(300)}`],
    ['content_type', 'text/ü'],
    ['sha256', SHA.slice(1)],
    ['sha256', `${SHA}00`],
    ['sha256', 'zz'.repeat(32)],
    ['client_encrypted', 'yes'],
    ['client_encrypted', '1'],
    ['client_encrypted', 'TRUE'],
    // As in a JSON body.
    ['envelope', '\ufeff{"alg":"x"}'],
  ])('refuse %s=%j and point at it', (field, value) => {
    expect(faultsOf({ name: 'a', [field]: value })).toEqual([
      { pointer: `/${field}`, message: expect.any(String) as string },
    ]);
  });

  it.each([
    ['no JSON', '{'],
    ['more than 16 KiB', JSON.stringify('x'.repeat(16 * 1024))],
    ['nested without end', '['.repeat(5000) + ']'.repeat(5000)],
    ['one level too deep', '['.repeat(33) + ']'.repeat(33)],
  ])('refuse an envelope with %s', (_, envelope) => {
    expect(faultsOf({ name: 'a', client_encrypted: 'true', envelope })).toHaveLength(1);
  });

  it('take an envelope of exactly 16 KiB, and 32 levels', () => {
    const long = JSON.stringify('x'.repeat(16 * 1024 - 2));
    const deep = '['.repeat(32) + ']'.repeat(32);
    for (const envelope of [long, deep]) {
      expect(parseUpload({ name: 'a', client_encrypted: 'true', envelope }, 'form').envelope).toBe(envelope);
    }
  });

  it('take an envelope beside a content that the client did not encrypt', () => {
    expect(parseUpload({ name: 'a', envelope: '{}' }, 'form').envelope).toBe('{}');
  });

  it('name every fault at once, and say that it stands in the query', () => {
    expect(faultsOf({ expires_in: 'x', sha256: 'y' }, 'query')).toEqual([
      expect.objectContaining({ pointer: '/expires_in', in: 'query' }),
      expect.objectContaining({ pointer: '/sha256', in: 'query' }),
    ]);
  });

  it('never repeat a value that was sent', () => {
    const secret = 'SECRET-VALUE';
    const fields = { name: `${secret}/`, expires_in: secret, content_type: secret, sha256: secret, envelope: secret };
    expect(JSON.stringify(faultsOf(fields))).not.toContain(secret);
  });

  it('ask for a name where none was sent', () => {
    expect(faultsOf({})).toEqual([{ pointer: '/name', message: 'must be given' }]);
  });
});
