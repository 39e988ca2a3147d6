import { SecretBytes, plaintext } from '../../kernel';
import { EncryptionContext, OwnerKeys, envelopeOf } from '../../keys/user-keys';
import { FileDoc, OtherContent } from './file.collection';

/** What a row keeps encrypted about the content of one version. */
export interface ContentFacts {
  readonly contentType: string;
  /** Lowercase hex. */
  readonly sha256: string;
  /** JSON text. */
  readonly envelope: string | undefined;
}

type FileRef = Pick<FileDoc, '_id' | 'version'>;

export const sealName = (keys: OwnerKeys, fileId: string, name: string): string =>
  keys.sealText(nameContext(keys.ownerId, fileId), name);

/** @throws DomainError `decryption_failed`, as each function here that opens. */
export const openName = (keys: OwnerKeys, row: FileDoc): string =>
  keys.openText(nameContext(row.owner_id, row._id), row.name);

export function sealFacts(keys: OwnerKeys, file: FileRef, facts: ContentFacts): string {
  return keys.sealText(versionContext(keys.ownerId, file, 'meta'), JSON.stringify(facts));
}

export function openFacts(keys: OwnerKeys, row: FileDoc & { readonly meta: string }): ContentFacts {
  return JSON.parse(keys.openText(versionContext(row.owner_id, row, 'meta'), row.meta)) as ContentFacts;
}

export function newFileKey(keys: OwnerKeys, file: FileRef): { readonly key: SecretBytes; readonly wrapped: string } {
  const { key, envelope } = keys.newFileKey(versionContext(keys.ownerId, file, 'key'));
  return { key, wrapped: envelope.toString('hex') };
}

/** Wraps a file key that was made before. */
export function wrapFileKey(keys: OwnerKeys, file: FileRef, key: SecretBytes): string {
  const bytes = plaintext(Buffer.from(key.bytes));
  const envelope = keys.seal('file-keys', versionContext(keys.ownerId, file, 'key'), bytes);
  bytes.fill(0);
  return envelope.toString('hex');
}

export function openFileKey(keys: OwnerKeys, row: FileDoc & { readonly file_key: string }): SecretBytes {
  return keys.openFileKey(versionContext(row.owner_id, row, 'key'), envelopeOf(row.file_key));
}

/** The row with its file keys wrapped by the owner's current key. */
export function rewrapped(keys: OwnerKeys, row: FileDoc): FileDoc {
  const changed = withContents(row, ({ version, file_key }) => {
    if (file_key === undefined) return {};
    const context = versionContext(row.owner_id, { _id: row._id, version }, 'key');
    const key = keys.open('file-keys', context, envelopeOf(file_key));
    const envelope = keys.seal('file-keys', context, key).toString('hex');
    key.fill(0);
    return { file_key: envelope };
  });
  return { ...changed, wrap_version: keys.version };
}

/** The row with name and facts encrypted under the owner's current key. */
export function reencrypted(keys: OwnerKeys, row: FileDoc): FileDoc {
  const changed = withContents(row, ({ version, meta }) => {
    if (meta === undefined) return {};
    const context = versionContext(row.owner_id, { _id: row._id, version }, 'meta');
    return { meta: keys.sealText(context, keys.openText(context, meta)) };
  });
  return { ...changed, name: sealName(keys, row._id, openName(keys, row)), seal_version: keys.version };
}

type Envelopes = Pick<OtherContent, 'file_key' | 'meta'>;

/** The row with new envelopes for each of its contents. */
function withContents(row: FileDoc, renew: (content: FileDoc | OtherContent) => Envelopes): FileDoc {
  const others = row.others?.map((content) => ({ ...content, ...renew(content) }));
  return { ...row, ...renew(row), ...(others !== undefined && { others }) };
}

/** A name belongs to the file, and stays when a version comes. */
const nameContext = (ownerId: string, fileId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'file',
  resourceId: fileId,
  field: 'name',
});

const versionContext = (ownerId: string, file: FileRef, field: 'meta' | 'key'): EncryptionContext => ({
  ownerId,
  resourceType: 'file',
  resourceId: file._id,
  field,
  fileVersion: file.version,
});
