import { FileContext, FileMessages, FRAME_BYTES, keyExport } from '../../src/crypto';
import { newKey } from '../../src/crypto';
import { collect, encrypted, noWorkers, sampleBytes, sourceWorkers, storedFile } from '../support/messages';
import { describeWithPart } from '../support/parts';
import { nodeSdk, OfficialSdk, pythonSdk } from '../support/sdk-messages';

const context: FileContext = { fileId: '0199-f1', ownerId: '0199-o1', version: 3 };
const clearContext = { 'coffer:file': '0199-f1', 'coffer:owner': '0199-o1', 'coffer:ver': '3' };
const fileKey = newKey();
const key = keyExport(fileKey, context);
const MIB = 1024 * 1024;
const SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, MIB, MIB + 1];

function agrees(sdk: OfficialSdk): void {
  const inline = new FileMessages(noWorkers());
  const inWorkers = new FileMessages(sourceWorkers());
  afterAll(() => inWorkers.close());

  it.each(SIZES)('opens our message of %i bytes', async (size) => {
    const { message } = await encrypted(size > MIB ? inWorkers : inline, fileKey, context, sampleBytes(size));
    const opened = await sdk.decrypt(key, message);
    expect(opened.plaintext.equals(sampleBytes(size))).toBe(true);
    expect(opened.context).toEqual(clearContext);
  });

  it.each(SIZES)('writes a message of %i bytes that we open', async (size) => {
    const message = await sdk.encrypt(key, sampleBytes(size), clearContext, FRAME_BYTES);
    const opened = await collect(await inline.open(storedFile(fileKey, context, message, size)));
    expect(opened.equals(sampleBytes(size))).toBe(true);
  });

  it.each([4096, 16_384, MIB])('writes frames of %i bytes that we open, a range of them too', async (frameLength) => {
    const size = 2 * MIB + 777;
    const message = await sdk.encrypt(key, sampleBytes(size), clearContext, frameLength);
    const file = storedFile(fileKey, context, message, size);
    const range = { start: MIB - 10, end: MIB + 10 };
    expect((await collect(await inWorkers.open(file))).equals(sampleBytes(size))).toBe(true);
    expect((await collect(await inWorkers.open(file, range))).equals(sampleBytes(size).subarray(range.start, range.end + 1))).toBe(true);
  });

  it('refuses our message with a bit flipped, as we do', async () => {
    const { message } = await encrypted(inline, fileKey, context, sampleBytes(FRAME_BYTES + 5));
    message.writeUInt8(message.readUInt8(message.length - 20) ^ 1, message.length - 20);
    await expect(Promise.resolve().then(() => sdk.decrypt(key, message))).rejects.toThrow();
  });

  it('refuses our message cut at a frame boundary, as we do', async () => {
    const { message } = await encrypted(inline, fileKey, context, sampleBytes(FRAME_BYTES + 5));
    await expect(Promise.resolve().then(() => sdk.decrypt(key, message.subarray(0, -45)))).rejects.toThrow();
  });

  it('writes a message of another file that we refuse', async () => {
    const message = await sdk.encrypt(key, sampleBytes(10), { ...clearContext, 'coffer:file': '0199-f2' }, FRAME_BYTES);
    await expect(inline.open(storedFile(fileKey, context, message, 10))).rejects.toMatchObject({ code: 'decryption_failed' });
  });

  it('writes a message with an entry more in its context that we refuse', async () => {
    const message = await sdk.encrypt(key, sampleBytes(10), { ...clearContext, 'coffer:zzz': '1' }, FRAME_BYTES);
    await expect(inline.open(storedFile(fileKey, context, message, 10))).rejects.toMatchObject({ code: 'decryption_failed' });
  });
}

describe('the AWS Encryption SDK for JavaScript', () => agrees(nodeSdk));
describeWithPart('python-esdk', 'the AWS Encryption SDK for Python', () => agrees(pythonSdk));
