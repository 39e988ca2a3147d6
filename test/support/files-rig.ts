import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainedAuditSink } from '../../src/audit';
import { auditBatchesCollection } from '../../src/audit/audit.collection';
import { AuditEntry } from '../../src/audit/entry';
import { BlobStore } from '../../src/blobs';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { closeApp } from '../../src/bootstrap/create-app';
import { BlobOwnership } from '../../src/files/content/blob-ownership';
import { FileContents } from '../../src/files/content/content-store';
import { QuotaLedger } from '../../src/files/content/quota-ledger';
import { UploadFields, parseContent, parseUpload } from '../../src/files/http/request/upload-fields';
import { FilesSweeper } from '../../src/files/maintenance/sweeper';
import { FileView } from '../../src/files/model/file-view';
import { FileDoc, fileCollection } from '../../src/files/model/file.collection';
import { FileAccess } from '../../src/files/operations/access';
import { FileUploads } from '../../src/files/operations/create-file';
import { FileDeletion } from '../../src/files/operations/delete-file';
import { FileRemoval } from '../../src/files/operations/file-removal';
import { FileVersions } from '../../src/files/operations/file-versions';
import { FilesService } from '../../src/files/operations/get-file';
import { FileListing } from '../../src/files/operations/list-files';
import { NewFiles } from '../../src/files/operations/pending-file';
import { FileRekey } from '../../src/files/operations/rekey-file';
import { FileReplacements } from '../../src/files/operations/replace-content';
import { IncomingContents } from '../../src/files/operations/staged-content';
import { FileChanges } from '../../src/files/operations/update-file';
import { FileVerification } from '../../src/files/operations/verify-file';
import { FilesUserData } from '../../src/files/user-data';
import { AuditSink, Clock, Principal, burstsOf, newId } from '../../src/kernel';
import { MasterKey } from '../../src/keys/master-key';
import { Sealer, UserKeyService } from '../../src/keys/user-keys';
import { DamageReports, Metrics } from '../../src/observability';
import { FileUsageDoc, fileUsageCollection } from '../../src/quota';
import { GrantAccess, GrantedResources, Grants, ReceivedGrants, SharingUserData } from '../../src/sharing';
import { GroupMembers } from '../../src/sharing/groups/group-members';
import { GroupRemoval } from '../../src/sharing/groups/group-removal';
import { Groups } from '../../src/sharing/groups/groups';
import { GroupsSweeper } from '../../src/sharing/groups/groups-sweeper';
import { OwnMemberships } from '../../src/sharing/groups/own-memberships';
import { Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { Users } from '../../src/users';
import { Getter, openApp } from './open-app';
import { addUserKeyVersion as addVersion } from './user-key-version';

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
  /** How long the cache holds a user key. 0: each use unwraps. */
  readonly cacheSeconds?: number;
  readonly trashDays?: number;
  /** In place of the blob store that the rig makes: to stand in its way. */
  readonly blobs?: (real: BlobStore) => BlobStore;
}

/** The application on the embedded store, the local keyring and a folder of blobs, without requests and schedules. */
export async function openFilesRig(options: RigOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-files-'));
  const clock = new MovingClock();
  const engine = new EmbeddedStore(join(folder, 'store'), clock);
  const app = await openApp(environment(folder, options), { clock, store: engine, blobs: options.blobs });
  const get: Getter = (token) => app.get(token, { strict: false });
  const parts = { ...fileParts(get), sharing: sharingParts(get), engine };
  const { store, audit, uploads, replacements, files, sweeper, userKeys } = parts;
  const masterKey = get(MasterKey);
  const blobFolder = join(folder, 'blobs');
  const diskBlobs = new FilesystemBlobStore(blobFolder);
  const rows = store.collection(fileCollection);

  async function newOwner(): Promise<Principal> {
    const userId = newId();
    await userKeys.create(userId, userId);
    return { userId, username: 'owner', role: 'user', sessionId: newId(), authTime: clock.now() };
  }

  async function upload(owner: Principal, name: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    return uploads.upload(owner, parseUpload({ name, ...more }, 'form'), burstsOf(chunksOf(content)), undefined);
  }

  /** A new version, whatever the file is now. */
  async function replace(owner: Principal, id: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    const arriving = { content: burstsOf(chunksOf(content)), declaredBytes: undefined };
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

  const close = async (): Promise<void> => {
    await closeApp(app);
    await rm(folder, { recursive: true, force: true });
  };

  return {
    ...parts,
    ...{ folder, clock, rows, blobFolder, newOwner, upload, replace, download, addUserKeyVersion },
    ...{ allRows, usageOf, blobIds, ageBlob, auditEntries, isEmpty, sweepAfter, close },
  };
}

/** Secrets that are given are not generated, and a secret that is generated is synced to the disk. */
const SECRET = 'a secret of a test that is long enough';

const environment = (folder: string, { maxSize, userQuota, trashDays, cacheSeconds }: RigOptions) => ({
  ...{ DATA_DIR: folder, JWT_SECRET: SECRET, PEPPER: SECRET, COFFER_ROOT_KEY: SECRET },
  ...(maxSize !== undefined && { MAX_FILE_SIZE: String(maxSize) }),
  ...(userQuota !== undefined && { USER_QUOTA: String(userQuota) }),
  ...(trashDays !== undefined && { TRASH_DAYS: String(trashDays) }),
  ...(cacheSeconds !== undefined && { KMS_CACHE_SECONDS: String(cacheSeconds) }),
});

const fileParts = (get: Getter) => ({
  store: get(Store),
  blobs: get(BlobStore),
  audit: get(AuditSink) as ChainedAuditSink,
  metrics: get(Metrics),
  damage: get(DamageReports),
  usage: get(QuotaLedger),
  userKeys: get(UserKeyService),
  sealer: get(Sealer),
  refs: get(BlobOwnership),
  removal: get(FileRemoval),
  newFiles: get(NewFiles),
  contents: get(FileContents),
  uploads: get(FileUploads),
  access: get(FileAccess),
  files: get(FilesService),
  incoming: get(IncomingContents),
  replacements: get(FileReplacements),
  versions: get(FileVersions),
  changes: get(FileChanges),
  deletion: get(FileDeletion),
  rekeying: get(FileRekey),
  verification: get(FileVerification),
  listing: get(FileListing),
  sweeper: get(FilesSweeper),
  owned: get(FilesUserData),
});

const sharingParts = (get: Getter) => ({
  users: get(Users),
  removal: get(GroupRemoval),
  groups: get(Groups),
  members: get(GroupMembers),
  grants: get(Grants),
  access: get(GrantAccess),
  granted: get(GrantedResources),
  received: get(ReceivedGrants),
  ownMemberships: get(OwnMemberships),
  sweeper: get(GroupsSweeper),
  owned: get(SharingUserData),
});

export type FilesRig = Awaited<ReturnType<typeof openFilesRig>>;

export type Chunks = Buffer | string | AsyncIterable<Buffer>;

async function* chunksOf(content: Chunks): AsyncGenerator<Buffer> {
  if (typeof content === 'string' || Buffer.isBuffer(content)) {
    await Promise.resolve();
    yield Buffer.from(content);
  } else yield* content;
}
