import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainedAuditSink } from '../../src/audit';
import { auditBatchesCollection } from '../../src/audit/audit.collection';
import { AuditEntry } from '../../src/audit/entry';
import { BlobStore } from '../../src/blobs';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { Config } from '../../src/config';
import { FileMessages, newKey, PASSWORD_COSTS, PasswordHasher } from '../../src/crypto';
import { BlobOwnership } from '../../src/files/content/blob-ownership';
import { ContentStore } from '../../src/files/content/content-store';
import { FileAccess } from '../../src/files/operations/access';
import { UpdateFile } from '../../src/files/operations/update-file';
import { DeleteFile, FileRemoval } from '../../src/files/operations/delete-file';
import { ListFiles } from '../../src/files/operations/list-files';
import { RekeyFile } from '../../src/files/operations/rekey-file';
import { ReplaceContent } from '../../src/files/operations/replace-content';
import { CreateFile } from '../../src/files/operations/create-file';
import { FileSharing } from '../../src/files/operations/share-file';
import { VerifyFile } from '../../src/files/operations/verify-file';
import { FileVersions } from '../../src/files/operations/file-versions';
import { FileView } from '../../src/files/model/file';
import { ProcessIdentity } from '../../src/files/content/keepalive';
import { FileDoc, fileCollection } from '../../src/files/model/file.collection';
import { FilesSweeper } from '../../src/files/maintenance/sweeper';
import { GetFile } from '../../src/files/operations/get-file';
import { StagedContents } from '../../src/files/operations/staged-content';
import { PendingFiles } from '../../src/files/operations/pending-file';
import { FilesUserData } from '../../src/files/user-data';
import { UploadFields, parseContent, parseUpload } from '../../src/files/http/request/upload-fields';
import { FileUsageDoc, fileUsageCollection } from '../../src/quota';
import { usageParts } from './usage';
import { QuotaLedger } from '../../src/files/content/quota-ledger';
import { Clock, Person, Principal, Readiness, burstsOf, newId } from '../../src/kernel';
import { DamageReports, Metrics } from '../../src/observability';
import { Links } from '../../src/links';
import { SharedResources } from '../../src/sharing';
import { MasterKeyRow } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { RowWrapStore } from './row-wrap-store';
import { KeyCache } from '../../src/keys/user-keys/key-cache';
import { Sealer } from '../../src/keys/user-keys/sealer';
import { UserKeyService } from '../../src/keys/user-keys/user-key-service';
import { noWorkers } from './messages';
import { openAuthenticatedStore } from './sealed-store';
import { sharingParts } from './sharing-parts';
import { addUserKeyVersion as addVersion } from './user-key-version';
import { person } from './person';

/** Time that a test moves on. */
export class MovingClock extends Clock {
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  override elapsed(): number {
    return performance.now() + this.#ahead;
  }

  forward(ms: number): void {
    this.#ahead += ms;
  }
}

export interface RigOptions {
  readonly maxSize?: number;
  readonly userQuota?: number;
  /** How many user keys the cache holds. */
  readonly cachedKeys?: number;
  readonly trashDays?: number;
  /** In place of the blob store that the rig makes: to stand in its way. */
  readonly blobs?: (real: BlobStore) => BlobStore;
}

/** The files fixture on the embedded store, the local keyring and a folder of blobs, all real, in one temporary folder. */
export async function openFilesRig(options: RigOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-files-'));
  const clock = new MovingClock();
  const opened = openAuthenticatedStore(join(folder, 'store'), clock);
  const { store, engine } = opened;
  const masterKey = new LocalMasterKey(folder, newKey().bytes.toString('base64'));
  await masterKey.open();
  const masterRow = new MasterKeyRow(store);
  await masterRow.create((await masterKey.state()).current, masterKey.home);
  const cache = new KeyCache({ capacity: options.cachedKeys ?? 100, maxAgeMs: 60_000 });
  const home = new RowWrapStore();
  const userKeys = new UserKeyService(store, masterKey, masterRow, cache, clock, home);
  const sealer = new Sealer(store, masterKey, cache, home);
  const blobFolder = join(folder, 'blobs');
  const diskBlobs = new FilesystemBlobStore(blobFolder);
  const blobs = options.blobs?.(diskBlobs) ?? diskBlobs;
  const { maxSize = 2 ** 40, userQuota, trashDays = 0 } = options;
  const config = { files: { maxSize, userQuota, trashDays }, auditReads: true } as unknown as Config;
  const audit = new ChainedAuditSink(store, clock, new Readiness(), config);
  const metrics = new Metrics();
  const damage = new DamageReports(metrics, audit);
  const sharing = sharingParts({ store, sealer, audit, clock });
  const messages = new FileMessages(noWorkers());
  const worker = new ProcessIdentity();
  const usage = new QuotaLedger(store, clock, ...usageParts(store, { clock, userQuota }));
  const links = new Links(store, new PasswordHasher({ pepper: 'a pepper of a test', cost: PASSWORD_COSTS.low }), clock);
  const refs = new BlobOwnership(store, blobs);
  const shared = new SharedResources(sharing.grants, links);
  const removal = new FileRemoval(store, refs, usage, worker, shared, clock);
  const newFiles = new PendingFiles(store, sealer, removal, worker, clock);
  const contents = new ContentStore(store, blobs, messages, sealer, damage);
  const uploads = new CreateFile(newFiles, contents, usage, removal, audit, config);
  const access = new FileAccess(store, sealer, sharing.access, clock);
  const files = new GetFile(access, sealer, contents, audit, damage);
  const incoming = new StagedContents(store, sealer, contents, refs, removal, clock);
  const replacements = new ReplaceContent(access, incoming, sealer, usage, audit, config);
  const versions = new FileVersions(access, sealer, contents, replacements, removal, audit);
  const changes = new UpdateFile(access, sealer, newFiles, audit, clock);
  const deletion = new DeleteFile(access, removal, sealer, audit, clock, config);
  const rekeying = new RekeyFile(access, sealer, contents, incoming, audit);
  const verification = new VerifyFile(access, contents, audit, damage);
  const fileSharing = new FileSharing(access, sharing.grants, sharing.granted, sharing.received, sealer);
  const listing = new ListFiles(store, sealer, files, fileSharing, clock);
  const sweeper = new FilesSweeper(store, removal, usage, worker, clock, audit);
  const owned = new FilesUserData(store, sealer, removal, usage, audit);
  const rows = store.collection(fileCollection);

  async function newOwner(): Promise<Person> {
    const userId = newId();
    await userKeys.create(userId, userId);
    return person(userId, { username: 'owner', authTime: clock.now() });
  }

  async function upload(owner: Principal, name: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    return uploads.upload(owner, parseUpload({ name, ...more }, 'form'), burstsOf(chunksOf(content)), undefined);
  }

  /** A new version, whatever the file is now. */
  async function replace(owner: Principal, id: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    const arriving = { body: burstsOf(chunksOf(content)), declaredBytes: undefined };
    const row = await replacements.replace(owner, id, parseContent(more, 'form'), arriving, () => undefined);
    return files.view(row);
  }

  async function download(
    owner: Principal,
    id: string,
    range?: { start: number; end: number },
    version?: number,
  ): Promise<Buffer> {
    const stream = await (await files.content(owner, { id }, { form: 'clear', version })).open(range);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  const addUserKeyVersion = (ownerId: string): Promise<void> => addVersion({ store, masterKey }, ownerId);

  const allRows = async (): Promise<readonly FileDoc[]> => (await rows.list('_id', [], { limit: 1000 })).items;
  const usageOf = (ownerId: string): Promise<FileUsageDoc | undefined> =>
    store.collection(fileUsageCollection).find('_id', ownerId);

  async function blobIds(): Promise<string[]> {
    const ids: string[] = [];
    for await (const id of diskBlobs.list()) ids.push(id);
    return ids;
  }

  /** As if the blob had been written `ms` ago. */
  async function ageBlob(id: string, ms: number): Promise<void> {
    const then = new Date(Date.now() - ms);
    await utimes(join(blobFolder, id.slice(0, 2), id), then, then);
  }

  async function auditEntries(): Promise<readonly AuditEntry[]> {
    await audit.onApplicationShutdown();
    const batches = await store.collection(auditBatchesCollection).list('time', [], { limit: 1000 });
    return batches.items.flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
  }

  /** Two turns of the sweeper with `ms` between them: what stayed silent for so long is dead. */
  async function sweepAfter(ms: number): Promise<void> {
    await sweeper.sweep();
    clock.forward(ms);
    await sweeper.sweep();
  }

  /** Nothing of any file is left: no row, no blob, not even a part of one. */
  async function isEmpty(): Promise<boolean> {
    const partial = await readdir(join(blobFolder, 'partial')).catch(() => []);
    return (await allRows()).length + (await blobIds()).length + partial.length === 0;
  }

  return {
    ...{
      folder,
      clock,
      store,
      engine,
      rows,
      blobs,
      blobFolder,
      usage,
      removal,
      newFiles,
      contents,
      audit,
      metrics,
      damage,
      uploads,
      files,
      listing,
      sweeper,
      owned,
      access,
      sharing,
    },
    ...{ access, refs, incoming, replacements, versions, changes, deletion, rekeying, verification },
    ...{ userKeys, sealer, newOwner, upload, replace, download, addUserKeyVersion },
    ...{ allRows, usageOf, blobIds, ageBlob, auditEntries, isEmpty, sweepAfter },
    close: async (): Promise<void> => {
      await messages.close();
      await opened.close();
      await masterKey.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type FilesRig = Awaited<ReturnType<typeof openFilesRig>>;

export type Chunks = Buffer | string | AsyncIterable<Buffer>;

async function* chunksOf(content: Chunks): AsyncGenerator<Buffer> {
  if (typeof content === 'string' || Buffer.isBuffer(content)) {
    await Promise.resolve();
    yield Buffer.from(content);
  } else yield* content;
}
