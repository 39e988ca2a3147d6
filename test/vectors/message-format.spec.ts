import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretBytes } from '../../src/kernel';
import { openLeniently } from '../support/lenient-message';
import { describeWithVectors } from '../support/parts';

interface MessageVector {
  readonly comment: string;
  readonly ciphertext: string;
  readonly 'decrypted-dek': string;
  readonly 'plaintext-frames': readonly string[] | null;
  readonly status: boolean;
}

describeWithVectors('the published vectors of the message format', (folder) => {
  const all = (): MessageVector[] => {
    const text = readFileSync(join(folder, 'aws-esdk-message-v2.json'), 'utf8');
    return (JSON.parse(text) as { tests: MessageVector[] }).tests;
  };
  const open = (vector: MessageVector): Buffer =>
    openLeniently(
      Buffer.from(vector.ciphertext, 'base64'),
      new SecretBytes(Buffer.from(vector['decrypted-dek'], 'base64')),
    );

  it('open to their plaintext, by our key derivation, commitment and additional data', () => {
    const valid = all().filter(({ status }) => status);
    const wrong = valid.filter((vector) => {
      return open(vector).toString('utf8') !== (vector['plaintext-frames'] ?? []).join('');
    });
    expect({ wrong: wrong.map(({ comment }) => comment), compared: valid.length }).toEqual({ wrong: [], compared: 41 });
  });

  it('are refused where their data key does not match the commitment', () => {
    const invalid = all().filter(({ status }) => !status);
    expect(invalid).toHaveLength(5);
    for (const vector of invalid) expect(() => open(vector)).toThrow('commitment');
  });
});
