import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aeadOpen, equalBytes, hkdf, HkdfHash, hmacSha256 } from '../../src/crypto';
import { gcmEncrypt } from '../../src/crypto/aead';
import { SecretBytes } from '../../src/kernel';
import { describeWithVectors } from '../support/parts';

interface Vectors<Group, Test> {
  readonly testGroups: readonly (Group & { readonly tests: readonly (Test & Outcome)[] })[];
}

interface Outcome {
  readonly tcId: number;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

interface GcmTest {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

interface HkdfTest {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}

interface MacTest {
  readonly key: string;
  readonly msg: string;
  readonly tag: string;
}

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const secret = (hex: string): SecretBytes => new SecretBytes(bytes(hex));

function succeeds(act: () => boolean): boolean {
  try {
    return act();
  } catch {
    return false;
  }
}

describeWithVectors('the Wycheproof vectors', (folder) => {
  const read = <Group, Test>(name: string): Vectors<Group, Test> =>
    JSON.parse(readFileSync(join(folder, 'wycheproof', `${name}_test.json`), 'utf8')) as Vectors<Group, Test>;

  /** Numbers of the tests whose outcome is not ours, and how many were compared. */
  function compare<Test>(tests: readonly (Test & Outcome)[], holds: (test: Test) => boolean) {
    const wrong = tests.filter((test) => (test.result === 'valid') !== succeeds(() => holds(test)));
    return { wrong: wrong.map(({ tcId }) => tcId), compared: tests.length };
  }

  const gcm = () =>
    read<{ ivSize: number; keySize: number; tagSize: number }, GcmTest>('aes_gcm').testGroups.flatMap((group) =>
      group.ivSize === 96 && group.keySize === 256 && group.tagSize === 128 ? group.tests : [],
    );

  it('open with AES-256-GCM where they are valid, and do not where not', () => {
    const outcome = compare(gcm(), ({ key, iv, aad, msg, ct, tag }) =>
      aeadOpen(secret(key), bytes(iv + ct + tag), bytes(aad)).equals(bytes(msg)),
    );
    expect(outcome).toEqual({ wrong: [], compared: 66 });
  });

  it('come out of AES-256-GCM', () => {
    const valid = gcm().filter(({ result }) => result === 'valid');
    const outcome = compare(valid, ({ key, iv, aad, msg, ct, tag }) =>
      gcmEncrypt(secret(key), bytes(iv), bytes(msg), bytes(aad)).equals(bytes(ct + tag)),
    );
    expect(outcome.wrong).toEqual([]);
  });

  it.each<[HkdfHash, number]>([
    ['sha256', 86],
    ['sha512', 83],
  ])('come out of HKDF-%s', (hash, count) => {
    const tests = read<object, HkdfTest>(`hkdf_${hash}`).testGroups.flatMap((group) => group.tests);
    const outcome = compare(tests, ({ ikm, salt, info, size, okm }) =>
      hkdf(secret(ikm), bytes(salt), bytes(info), size, hash).bytes.equals(bytes(okm)),
    );
    expect(outcome).toEqual({ wrong: [], compared: count });
  });

  it('come out of HMAC-SHA256', () => {
    const tests = read<object, MacTest>('hmac_sha256').testGroups.flatMap((group) => group.tests);
    const outcome = compare(tests, ({ key, msg, tag }) => {
      const expected = bytes(tag);
      return equalBytes(hmacSha256(secret(key), bytes(msg)).subarray(0, expected.length), expected);
    });
    expect(outcome).toEqual({ wrong: [], compared: 174 });
  });
});
