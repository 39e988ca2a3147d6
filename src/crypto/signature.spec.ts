import { generateKeyPairSync } from 'node:crypto';
import { SecretBytes } from '../kernel';
import { ed25519PublicKey, publicKeyId, signEd25519, verifyEd25519 } from './signature';

/** RFC 8032, section 7.1, test 2. */
const seed = (): SecretBytes =>
  new SecretBytes(Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'));
const SIGNATURE =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00';
const PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';

describe('An Ed25519 signature', () => {
  it('is that of the RFC', () => {
    expect(signEd25519(seed(), Buffer.from('72', 'hex')).toString('hex')).toBe(SIGNATURE);
    const der = Buffer.from(ed25519PublicKey(seed()).replace(/-----[^-]+-----/g, ''), 'base64');
    expect(der.subarray(-32).toString('hex')).toBe(PUBLIC);
  });

  it('verifies for its text and its key', () => {
    expect(verifyEd25519(ed25519PublicKey(seed()), 'text', signEd25519(seed(), 'text'))).toBe(true);
  });

  it.each([
    ['another text', 'texT', (signature: Buffer) => signature],
    ['a changed bit', 'text', (signature: Buffer) => (signature.writeUInt8(signature.readUInt8(5) ^ 1, 5), signature)],
    ['a cut end', 'text', (signature: Buffer) => signature.subarray(0, 63)],
    ['nothing', 'text', () => Buffer.alloc(0)],
  ])('does not verify with %s', (_what, text, change) => {
    expect(verifyEd25519(ed25519PublicKey(seed()), text, change(signEd25519(seed(), 'text')))).toBe(false);
  });

  it('does not verify with the key of somebody else, which has another id', () => {
    const other = ed25519PublicKey(new SecretBytes(Buffer.alloc(32, 7)));
    expect(verifyEd25519(other, 'text', signEd25519(seed(), 'text'))).toBe(false);
    expect(publicKeyId(other)).not.toBe(publicKeyId(ed25519PublicKey(seed())));
  });

  it.each([
    ['no PEM', 'hello'],
    [
      'a key of another kind',
      generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' }) as string,
    ],
  ])('is not looked at with %s', (_what, pem) => {
    expect(() => verifyEd25519(pem, 'text', Buffer.alloc(64))).toThrow(TypeError);
  });
});
