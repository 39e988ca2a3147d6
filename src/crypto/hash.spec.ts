import { SecretBytes } from '../kernel';
import { equalBytes, hkdf, hmacSha256, sha256, sha256Stream } from './hash';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const key = (text: string): SecretBytes => new SecretBytes(hex(text));

describe('HKDF-SHA256', () => {
  it.each([
    {
      name: 'RFC 5869 A.1',
      ikm: '0b'.repeat(22),
      salt: '000102030405060708090a0b0c',
      info: 'f0f1f2f3f4f5f6f7f8f9',
      okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    },
    {
      name: 'RFC 5869 A.2, longer inputs',
      ikm: Array.from({ length: 80 }, (_, i) => i.toString(16).padStart(2, '0')).join(''),
      salt: Array.from({ length: 80 }, (_, i) => (i + 0x60).toString(16)).join(''),
      info: Array.from({ length: 80 }, (_, i) => (i + 0xb0).toString(16)).join(''),
      okm:
        'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c' +
        '59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    },
    {
      name: 'RFC 5869 A.3, no salt and no info',
      ikm: '0b'.repeat(22),
      salt: '',
      info: '',
      okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    },
  ])('derives the output of $name', ({ ikm, salt, info, okm }) => {
    const derived = hkdf(key(ikm), hex(salt), hex(info), okm.length / 2);
    expect(derived.bytes.toString('hex')).toBe(okm);
  });

  it('gives unlike subkeys for unlike purposes', () => {
    const root = key('11'.repeat(32));
    const one = hkdf(root, Buffer.alloc(0), 'records').bytes;
    expect(equalBytes(one, hkdf(root, Buffer.alloc(0), 'secrets').bytes)).toBe(false);
  });
});

describe('HMAC-SHA256', () => {
  it.each([
    [
      'RFC 4231 case 1',
      '0b'.repeat(20),
      '4869205468657265',
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      'RFC 4231 case 2',
      '4a656665',
      '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      'RFC 4231 case 3',
      'aa'.repeat(20),
      'dd'.repeat(50),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      'RFC 4231 case 4',
      '0102030405060708090a0b0c0d0e0f10111213141516171819',
      'cd'.repeat(50),
      '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    ],
    [
      'RFC 4231 case 6, a key longer than a block',
      'aa'.repeat(131),
      Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ])('gives the tag of %s', (_name, secret, data, tag) => {
    expect(hmacSha256(key(secret), hex(data)).toString('hex')).toBe(tag);
  });

  it('refuses a destroyed key although it was used before', () => {
    const secret = key('22'.repeat(32));
    hmacSha256(secret, 'data');
    secret.destroy();
    expect(() => hmacSha256(secret, 'data')).toThrow(TypeError);
  });
});

describe('SHA-256', () => {
  it('gives the digest of FIPS 180-4 for "abc", whole and in pieces', () => {
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    const stream = sha256Stream();
    stream.update('a');
    stream.update(Buffer.from('bc'));
    expect([sha256('abc').toString('hex'), stream.digest().toString('hex')]).toEqual([digest, digest]);
  });
});

describe('equalBytes', () => {
  it('tells bytes of unlike length apart instead of throwing', () => {
    expect(equalBytes(Buffer.from('a'), Buffer.from('ab'))).toBe(false);
  });
});
