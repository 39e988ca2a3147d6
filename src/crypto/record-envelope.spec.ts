import { Ciphertext, ciphertext, plaintext } from '../kernel';
import { wallOf } from './format-fault';
import { newKey } from './random';
import { EnvelopeContext, envelopeVersion, openRecord, sealRecord } from './record-envelope';

const place: EnvelopeContext = {
  purpose: 'records',
  ownerId: 'owner',
  resourceType: 'record',
  resourceId: 'r1',
  field: 'value',
};
const value = plaintext(Buffer.from('4111111111111234'));
const key = newKey();

const wall = (envelope: Ciphertext, where: EnvelopeContext = place): string | undefined => {
  try {
    openRecord(key, where, envelope);
  } catch (error) {
    return wallOf(error);
  }
  return 'opened';
};

describe('a record envelope', () => {
  it('opens where it belongs and names its key version', () => {
    const envelope = sealRecord(key, 513, place, value);
    expect([envelopeVersion(envelope), openRecord(key, place, envelope).toString()]).toEqual([513, value.toString()]);
  });

  it('has 31 bytes more than its value', () => {
    expect(sealRecord(key, 1, place, value)).toHaveLength(value.length + 31);
  });

  it.each<[string, Partial<EnvelopeContext>]>([
    ['another purpose', { purpose: 'secrets' }],
    ['another owner', { ownerId: 'other' }],
    ['another type of resource', { resourceType: 'file' }],
    ['another resource', { resourceId: 'r2' }],
    ['another field', { field: 'data_type' }],
    ['a file version', { fileVersion: 1 }],
  ])('does not open under %s', (_name, change) => {
    expect(wall(sealRecord(key, 1, place, value), { ...place, ...change })).toBe('tag');
  });

  it('does not open with the key version in its head changed', () => {
    const envelope = sealRecord(key, 1, place, value);
    envelope.writeUInt16BE(2, 1);
    expect(wall(envelope)).toBe('tag');
  });

  it('refuses another format version', () => {
    const envelope = sealRecord(key, 1, place, value);
    envelope.writeUInt8(2);
    expect(wall(envelope)).toBe('format');
  });

  it('refuses key version 0, which is never given out', () => {
    const envelope = sealRecord(key, 1, place, value);
    envelope.writeUInt16BE(0, 1);
    expect(wall(envelope)).toBe('key-version');
  });

  it.each([0, 1, 30])('refuses %i bytes', (size) => {
    expect(wall(ciphertext(Buffer.alloc(size, 1)))).toBe('length');
  });

  it.each([0, -1, 1.5, 65_536])('is not made with key version %p', (version) => {
    expect(() => sealRecord(key, version, place, value)).toThrow(TypeError);
  });
});
