import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ciphertext, SecretBytes } from '../../src/kernel';
import { wrapContext, type WrapPurpose } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { OpenedUserKey } from '../../src/keys/user-keys/user-key-handle';

interface Sample {
  readonly root_key: string;
  readonly keyring: string;
  readonly key: string;
  readonly wraps: { purpose: WrapPurpose; owner: string; key_version: number; master_version: number; wrapped: string }[];
  readonly name_key: string;
  readonly wrapped_name_key: string;
}

// Written once by the first version of the format. A reader that does not open them has lost
// somebody's data.
describe('The frozen keyring', () => {
  let folder: string;
  let sample: Sample;
  let home: LocalMasterKey;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-sample-'));
    sample = JSON.parse(await readFile(join(__dirname, 'samples/local-keyring.json'), 'utf8')) as Sample;
    await writeFile(join(folder, 'keyring.json'), sample.keyring);
    home = new LocalMasterKey(folder, sample.root_key);
    await home.open({ create: false });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('opens with both of its versions', async () => {
    expect(await home.state()).toMatchObject({ current: 2, versions: [{ version: 1 }, { version: 2 }] });
  });

  it.each([0, 1])('opens what it wrapped (%i)', async (at) => {
    const { wrapped, master_version, purpose, owner, key_version } = sample.wraps[at]!;
    const item = {
      wrapped: { masterVersion: master_version, ciphertext: wrapped },
      context: wrapContext(purpose, owner, key_version),
    };
    const [result] = await home.unwrap([item]);
    expect(result!.ok && result!.value.bytes.toString('hex')).toBe(sample.key);
  });

  it('gives the user key that opens its owner’s name key', () => {
    const keys = new Map([[1, new SecretBytes(Buffer.from(sample.key, 'hex'))]]);
    const wrappedNameKey = ciphertext(Buffer.from(sample.wrapped_name_key, 'hex'));
    const opened = new OpenedUserKey({ ownerId: sample.wraps[0]!.owner, epoch: 1, current: 1, keys, wrappedNameKey });
    expect(opened.nameKey().bytes.toString('hex')).toBe(sample.name_key);
  });
});
