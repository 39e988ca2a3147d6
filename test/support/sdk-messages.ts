import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { partProgram } from './installed';

/** What both official SDKs are given: what GET /files/{id}/key answers, and the message. */
export interface SdkKey {
  readonly namespace: string;
  readonly keyName: string;
  /** Hex. */
  readonly key: string;
}

export interface Opened {
  readonly plaintext: Buffer;
  readonly context: Readonly<Record<string, string>>;
}

/** One official AWS Encryption SDK, as an oracle for the file message format. */
export interface OfficialSdk {
  decrypt(key: SdkKey, message: Buffer): Promise<Opened>;
  encrypt(key: SdkKey, plaintext: Buffer, context: Record<string, string>, frameLength: number): Promise<Buffer>;
}

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);

const keyring = ({ namespace, keyName, key }: SdkKey): RawAesKeyringNode =>
  new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName,
    unencryptedMasterKey: Uint8Array.from(Buffer.from(key, 'hex')),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });

/** npm `@aws-crypto/client-node`. */
export const nodeSdk: OfficialSdk = {
  async decrypt(key, message) {
    const { plaintext, messageHeader } = await client.decrypt(keyring(key), message);
    return { plaintext, context: { ...messageHeader.encryptionContext } };
  },
  async encrypt(key, plaintext, context, frameLength) {
    const { result } = await client.encrypt(keyring(key), plaintext, {
      suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
      encryptionContext: context,
      frameLength,
    });
    return result;
  },
};

interface PythonAnswer {
  readonly bytes: string;
  readonly context: Record<string, string>;
}

function python(request: Record<string, unknown>): PythonAnswer {
  const output = execFileSync(partProgram('python'), [join(__dirname, 'esdk_oracle.py')], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return JSON.parse(output) as PythonAnswer;
}

/** PyPI `aws-encryption-sdk`, in a process of its own. */
export const pythonSdk: OfficialSdk = {
  decrypt(key, message) {
    const { bytes, context } = python({ act: 'decrypt', ...key, bytes: message.toString('base64') });
    return Promise.resolve({ plaintext: Buffer.from(bytes, 'base64'), context });
  },
  encrypt(key, plaintext, context, frameLength) {
    const request = { act: 'encrypt', ...key, bytes: plaintext.toString('base64'), context, frameLength };
    return Promise.resolve(Buffer.from(python(request).bytes, 'base64'));
  },
};
