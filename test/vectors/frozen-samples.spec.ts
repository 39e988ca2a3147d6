import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  EnvelopeContext,
  envelopeVersion,
  FileMessages,
  keyExport,
  openRecord,
  recoveryCodeHash,
  sha256,
} from '../../src/crypto';
import { ciphertext, SecretBytes } from '../../src/kernel';
import { collect, noWorkers, storedFile } from '../support/messages';
import { nodeSdk } from '../support/sdk-messages';

// Made once and never again: whatever the code becomes, what these hold must open. A sample that no
// longer opens is data lost somewhere.
const folder = join(__dirname, 'samples');
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const secret = (hex: string): SecretBytes => new SecretBytes(Buffer.from(hex, 'hex'));

interface FileSamples {
  readonly file_key: string;
  readonly file_id: string;
  readonly owner_id: string;
  readonly version: number;
  readonly messages: readonly {
    readonly file: string;
    readonly made_by: string;
    readonly plaintext_size: number;
    readonly encrypted_size: number;
    readonly sha256: string;
    readonly attempt?: number;
  }[];
}

interface RecordSamples {
  readonly key: string;
  readonly envelopes: readonly {
    readonly key_version: number;
    readonly value: string;
    readonly place: EnvelopeContext;
    readonly envelope: string;
  }[];
}

describe('frozen file messages', () => {
  const samples = json('file-messages.json') as FileSamples;
  const fileKey = secret(samples.file_key);
  const context = { fileId: samples.file_id, ownerId: samples.owner_id, version: samples.version };

  it.each(samples.messages)('open for ever: $file, made by $made_by', async (sample) => {
    const message = readFileSync(join(folder, sample.file));
    const of = sample.attempt === undefined ? context : { ...context, attempt: sample.attempt };
    const file = storedFile(fileKey, of, message, sample.plaintext_size, sample.encrypted_size);
    const opened = await collect(await new FileMessages(noWorkers()).open(file));
    expect([opened.length, sha256(opened).toString('hex')]).toEqual([sample.plaintext_size, sample.sha256]);
  });

  it.each(samples.messages)('open with an official SDK for ever: $file', async (sample) => {
    const opened = await nodeSdk.decrypt(keyExport(fileKey, context), readFileSync(join(folder, sample.file)));
    expect(sha256(opened.plaintext).toString('hex')).toBe(sample.sha256);
  });
});

describe('frozen record envelopes', () => {
  const samples = json('record-envelopes.json') as RecordSamples;

  it.each(samples.envelopes)('open for ever: $place.purpose, key version $key_version', (sample) => {
    const envelope = ciphertext(Buffer.from(sample.envelope, 'hex'));
    const value = openRecord(secret(samples.key), sample.place, envelope);
    expect([envelopeVersion(envelope), value.toString()]).toEqual([sample.key_version, sample.value]);
  });
});

describe('a frozen recovery code', () => {
  it('has the hash that it always had', () => {
    expect(
      recoveryCodeHash(new SecretBytes(Buffer.alloc(32, 7)), 'u1', '0123-4567-89AB-CDEF-GHJK-MNPQ'),
    ).toMatchInlineSnapshot(`"a1db505be6aa1eaa5e36203ef55135fffdc47de15482b34708a2f6d708407d3b"`);
  });
});
