import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeContext, type EnvelopeContext, openRecord } from '../../src/crypto';
import { type ContextPart } from '../../src/crypto/context';
import { ciphertext, SecretBytes } from '../../src/kernel';
import { wrapContext, type WrapPurpose } from '../../src/keys/master-key';
import { KeyWrap } from '../../src/keys/master-key/software-master-key';
import { subkeyOf } from '../../src/keys/user-keys/user-key-handle';
import type { SealPurpose } from '../../src/keys/user-keys';

interface Wrap {
  readonly home: 'local' | 'kv';
  readonly master_version: number;
  readonly context: string;
  readonly wrapped: string;
}

interface Samples {
  readonly encodings: readonly { readonly parts: readonly (string | number | null)[]; readonly encoded: string }[];
  readonly contexts: readonly {
    readonly purpose: WrapPurpose;
    readonly owner: string;
    readonly key_version: number;
    readonly context: string;
  }[];
  readonly master_key: string;
  readonly key: string;
  readonly wraps: readonly Wrap[];
  readonly user_key: string;
  readonly subkeys: readonly {
    readonly purpose: SealPurpose;
    readonly owner: string;
    readonly version: number;
    readonly subkey: string;
  }[];
  readonly record: { readonly place: EnvelopeContext; readonly value: string; readonly envelope: string };
}

// Made by key_vectors.py beside this, from docs/formats.md and without a line of ours: what does
// not agree has lost somebody's data.
const samples = JSON.parse(readFileSync(join(__dirname, 'samples/keys.json'), 'utf8')) as Samples;
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const secret = (hex: string): SecretBytes => new SecretBytes(bytes(hex));
const unlike = (values: readonly string[]): number => new Set(values).size;

describe('The known answers of', () => {
  it.each(samples.encodings)('the encoding of additional data hold: $parts', ({ parts, encoded }) => {
    const given = parts.map((part): ContextPart => part ?? undefined);
    expect(encodeContext(given).toString('hex')).toBe(encoded);
  });

  it.each(samples.contexts)('the context of a wrap hold: $purpose, version $key_version', (sample) => {
    const { purpose, owner, key_version: version, context } = sample;
    expect(wrapContext(purpose, owner, version).toString('hex')).toBe(context);
  });

  it('the context are all unlike', () => {
    expect(unlike(samples.contexts.map(({ context }) => context))).toBe(samples.contexts.length);
  });

  it.each(samples.subkeys)('the derivation hold: $purpose, version $version', (sample) => {
    const { purpose, owner, version, subkey } = sample;
    expect(subkeyOf(secret(samples.user_key), purpose, owner, version).bytes.toString('hex')).toBe(subkey);
  });

  it('the derivation are all unlike: purpose, owner and version each make another subkey', () => {
    expect(unlike(samples.subkeys.map(({ subkey }) => subkey))).toBe(samples.subkeys.length);
  });

  it('a record under a derived subkey hold', () => {
    const { place, value, envelope } = samples.record;
    const subkey = subkeyOf(secret(samples.user_key), 'records', place.ownerId, 2);
    expect(openRecord(subkey, place, ciphertext(bytes(envelope))).toString()).toBe(value);
  });
});

describe('A wrap of known answer', () => {
  const open = ({ home, master_version: masterVersion, wrapped, context }: Wrap): string | undefined => {
    const item = { wrapped: { masterVersion, ciphertext: wrapped }, context: bytes(context) };
    const result = new KeyWrap(home).open(item, () => secret(samples.master_key));
    return result.ok ? result.value.bytes.toString('hex') : undefined;
  };

  it.each(samples.wraps)('opens: $home, master key version $master_version', (wrap) => {
    expect(open(wrap)).toBe(samples.key);
  });

  describe.each(samples.wraps)('does not open ($home, version $master_version)', (wrap) => {
    it.each(samples.contexts.filter(({ context }) => context !== wrap.context))(
      'for $purpose, version $key_version, of $owner',
      ({ context }) => expect(open({ ...wrap, context })).toBeUndefined(),
    );

    it('under another number of the master key version, with the same key behind it', () => {
      const wrapped = wrap.wrapped.replace(`:v${wrap.master_version}:`, ':v2:');
      expect(open({ ...wrap, wrapped, master_version: 2 })).toBeUndefined();
    });

    it('as a wrap of the other home', () => {
      const home = wrap.home === 'kv' ? 'local' : 'kv';
      expect(open({ ...wrap, home, wrapped: wrap.wrapped.replace(wrap.home, home) })).toBeUndefined();
    });
  });
});
