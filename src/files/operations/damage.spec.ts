import { Logger } from '@nestjs/common';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { sampleBytes } from '../../../test/support/messages';
import { Principal, TransferAborted } from '../../kernel';
import { FileView } from '../model/file';

const SIZE = 3_000_000;
const NAME = 'a name that no log may hold';

describe('What a read of a file meets', () => {
  let rig: FilesRig;
  let owner: Principal;
  let file: FileView;
  let errors: string[];
  let infos: string[];

  beforeEach(async () => {
    rig = await openFilesRig({ isShared: false });
    owner = await rig.newOwner();
    file = await rig.upload(owner, NAME, sampleBytes(SIZE));
    [errors, infos] = [[], []];
    jest.spyOn(Logger.prototype, 'error').mockImplementation((line: unknown) => void errors.push(JSON.stringify(line)));
    jest.spyOn(Logger.prototype, 'log').mockImplementation((line: unknown) => void infos.push(JSON.stringify(line)));
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rig.close();
  });

  const blobPath = async (): Promise<string> => {
    const { blob_id } = (await rig.rows.find('_id', file.id))!;
    return join(rig.blobFolder, blob_id.slice(0, 2), blob_id);
  };
  const flip = async (at: number): Promise<void> => {
    const bytes = await readFile(await blobPath());
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(await blobPath(), bytes);
  };
  const counted = async (line: string): Promise<boolean> =>
    (await rig.metrics.registry.metrics()).includes(`${line}\n`);

  it.each<[string, () => Promise<void>]>([
    ['in the first frame', () => flip(1000)],
    ['in a later frame', () => flip(file.encrypted_size - 20)],
    ['a blob that is gone', async () => rm(await blobPath())],
  ])('is told as damage by its id: %s', async (_what, damage) => {
    expect(await counted('coffer_damaged_reads_total{resource="file"} 0')).toBe(true);
    await damage();
    await expect(rig.download(owner, file.id)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(errors).toEqual([expect.stringContaining(`file/${file.id}`)]);
    expect(errors.join()).not.toContain(NAME);
    expect(await counted('coffer_damaged_reads_total{resource="file"} 1')).toBe(true);
    const entries = (await rig.auditEntries()).filter(({ action }) => action === 'file.damaged');
    expect(entries).toEqual([expect.objectContaining({ resource: `file/${file.id}`, outcome: 'failed' })]);
  });

  it('is no damage where nothing is wrong, or the file went meanwhile', async () => {
    await rig.download(owner, file.id);
    await rig.deletion.remove(owner, file.id);
    await expect(rig.download(owner, file.id)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(errors).toEqual([]);
    expect(await counted('coffer_damaged_reads_total{resource="file"} 0')).toBe(true);
  });

  it('is an info line where the reader broke off', async () => {
    const stream = await (await rig.files.content(owner, { id: file.id }, { form: 'clear' })).open(undefined);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.destroy();
    await closed;
    expect(infos).toEqual([expect.stringContaining(`file/${file.id}`)]);
    expect(errors).toEqual([]);
    expect(await counted('coffer_aborted_transfers_total{direction="download"} 1')).toBe(true);
    expect(await rig.auditEntries()).toContainEqual(
      expect.objectContaining({ action: 'file.download', outcome: 'failed', details: { version: 1, aborted: true } }),
    );
  });

  it('is an info line where an upload broke off', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- content comes asynchronously
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield sampleBytes(1000);
      throw new TransferAborted('validation_failed');
    };
    await expect(rig.upload(owner, 'broken', broken())).rejects.toBeInstanceOf(TransferAborted);
    expect(infos).toEqual([expect.stringMatching(/"file\/.*an upload was broken off/)]);
    expect(await counted('coffer_aborted_transfers_total{direction="upload"} 1')).toBe(true);
  });
});
