import { SecretBytes } from '../kernel';
import { aeadOpen, aeadSeal } from './aead';
import { wallOf } from './format-fault';
import { newKey } from './random';

const aad = Buffer.from('place');
const wall = (act: () => unknown): string | undefined => {
  try {
    act();
  } catch (error) {
    return wallOf(error);
  }
  return 'nothing was thrown';
};

describe('aeadSeal and aeadOpen', () => {
  const key = newKey();

  it('never seals the same plaintext to the same bytes', () => {
    expect(aeadSeal(key, Buffer.from('x'), aad).equals(aeadSeal(key, Buffer.from('x'), aad))).toBe(false);
  });

  it('never takes a nonce twice, over several draws from the generator', () => {
    const seals = Array.from({ length: 2000 }, () => aeadSeal(key, Buffer.alloc(0), aad));
    expect(new Set(seals.map((sealed) => sealed.subarray(0, 12).toString('hex'))).size).toBe(2000);
    expect(seals.every((sealed) => aeadOpen(key, sealed, aad).length === 0)).toBe(true);
  });

  it('opens an empty plaintext', () => {
    expect(aeadOpen(key, aeadSeal(key, Buffer.alloc(0), aad), aad)).toHaveLength(0);
  });

  it('refuses each single flipped bit', () => {
    const sealed = aeadSeal(key, Buffer.from('four'), aad);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const forged = Buffer.from(sealed);
      forged.writeUInt8(forged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(wall(() => aeadOpen(key, forged, aad))).toBe('tag');
    }
  });

  it('refuses other additional data', () => {
    expect(wall(() => aeadOpen(key, aeadSeal(key, Buffer.from('x'), aad), Buffer.from('elsewhere')))).toBe('tag');
  });

  it('refuses another key', () => {
    expect(wall(() => aeadOpen(newKey(), aeadSeal(key, Buffer.from('x'), aad), aad))).toBe('tag');
  });

  it('refuses a tag that was shortened to four bytes', () => {
    const sealed = aeadSeal(key, Buffer.alloc(0), aad);
    expect(wall(() => aeadOpen(key, sealed.subarray(0, 12 + 4), aad))).toBe('length');
  });

  it('refuses bytes too short to hold a nonce and a tag', () => {
    expect(wall(() => aeadOpen(key, Buffer.alloc(27), aad))).toBe('length');
  });

  it('refuses a key of another length as a mistake of ours', () => {
    expect(() => aeadSeal(new SecretBytes(Buffer.alloc(16)), Buffer.alloc(1), aad)).toThrow(TypeError);
  });

  it('names no wall in what the caller of Coffer sees', () => {
    expect(() => aeadOpen(key, Buffer.alloc(40), aad)).toThrow(/^decryption_failed$/);
  });
});
