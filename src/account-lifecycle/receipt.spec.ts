import { ed25519PublicKey } from '../crypto';
import { SecretBytes } from '../kernel';
import { FormerWraps, VersionFate } from '../keys/user-keys';
import { ErasureDoc } from './erasure.collection';
import { ErasureReceipt, receiptOf } from './receipt';
import { ReceiptFault, signReceipt, verifyReceipt } from './receipt-jws';

const seed = new SecretBytes(Buffer.alloc(32, 5));
const key = ed25519PublicKey(seed);
const erasure: ErasureDoc = {
  ...{ _id: 'account', rev: 9, state: 'erased', former_state: 'active', requested_by: 'owner', resumed: false },
  ...{ requested_at: 1_700_000_000_000, finished_at: 1_700_000_001_000, counts: { files: 2 } },
};

function receipt(fates: readonly VersionFate[], wraps: Partial<FormerWraps> = {}, row = erasure): ErasureReceipt {
  const versions = fates.map((_, at) => at + 1);
  const listed = fates.map((fate, at) => ({ version: at + 1, fate }));
  const facts = { fates: listed, installationId: 'installation', now: 1_700_000_002_000 };
  return receiptOf(row, { home: 'local', keptIn: 'store', versions, ...wraps }, facts);
}

describe('The tier of a receipt', () => {
  it.each<[string, VersionFate[], string]>([
    ['one version still opens', ['destroyed', 'opens'], 'live'],
    ['one version is only disabled', ['destroyed', 'disabled'], 'live'],
    ['the key home does not say', ['unknown'], 'live'],
    ['every version is destroyed', ['destroyed', 'destroyed'], 'backups'],
  ])('where %s is as it must be', (_when, fates, tier) => expect(receipt(fates).tier).toBe(tier));

  it('is that of backups at once where the wrapped key lay in Vault, whose snapshots are named', () => {
    const { tier, not_covered } = receipt(['opens'], { home: 'transit', keptIn: 'vault' });
    expect(tier).toBe('backups');
    expect(not_covered.join()).toMatch(/snapshots of Vault.*wrapped user key/);
  });

  it('names copies of the keyring where that is the home', () => {
    expect(receipt(['destroyed']).not_covered.join()).toContain('keyring');
  });

  it('says that counts are lower bounds where a process died', () => {
    expect(receipt(['opens'], {}, { ...erasure, resumed: true }).counts).toBe('at_least');
  });
});

describe('A signed receipt', () => {
  const signed = signReceipt(receipt(['opens']), seed);
  const answer = (shown: object, signature = signed): string => JSON.stringify({ receipt: shown, signature });
  const [header = '', payload = '', signature = ''] = signed.split('.');
  const refused = (text: string, publicKey = key) => expect(() => verifyReceipt(text, publicKey)).toThrow(ReceiptFault);

  it('holds, bare and in the answer of an erase', () => {
    expect(verifyReceipt(signed, key)).toEqual(receipt(['opens']));
    expect(verifyReceipt(`${answer(receipt(['opens']))}\n`, key)).toEqual(receipt(['opens']));
  });

  it('does not hold with the key of another installation', () => {
    refused(signed, ed25519PublicKey(new SecretBytes(Buffer.alloc(32, 6))));
  });

  it('does not hold with a better tier, in the payload or beside it', () => {
    const better = { ...receipt(['opens']), tier: 'backups' };
    refused(`${header}.${Buffer.from(JSON.stringify(better)).toString('base64url')}.${signature}`);
    refused(answer(better));
  });

  it.each([
    ['no signature', { alg: 'none', typ: 'coffer-receipt+jws' }],
    ['another algorithm', { alg: 'HS256', typ: 'coffer-receipt+jws' }],
    ['another type', { alg: 'EdDSA', typ: 'JWT' }],
  ])('does not hold with %s', (_what, changed) => {
    refused(`${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${payload}.${signature}`);
  });

  it.each(['', '{}', 'a.b.c', '{"receipt":{}}', `${header}.${payload}.`])('is not %s', (text) => refused(text));
});
