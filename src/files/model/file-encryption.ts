import { Ciphertext, Plaintext, SecretBytes, ciphertext, plaintext } from '../../kernel';
import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';
import { FileDoc, OtherContent } from './file.collection';

/** What a row keeps sealed about the content of one version. */
export interface ContentFacts {
  readonly contentType: string;
  /** Lowercase hex. */
  readonly sha256: string;
  /** JSON text. */
  readonly envelope: string | undefined;
}

type FileRef = Pick<FileDoc, '_id' | 'version'>;

export function sealName(keys: OwnerKeys, fileId: string, name: string): string {
  return seal(keys, namePlace(keys.ownerId, fileId), name);
}

/** @throws DomainError `decryption_failed`, as all that opens here. */
export const openName = (keys: OwnerKeys, row: FileDoc): string =>
  open(keys, namePlace(row.owner_id, row._id), row.name);

export function sealFacts(keys: OwnerKeys, file: FileRef, facts: ContentFacts): string {
  return seal(keys, versionPlace(keys.ownerId, file, 'meta'), JSON.stringify(facts));
}

export function openFacts(keys: OwnerKeys, row: FileDoc & { readonly meta: string }): ContentFacts {
  return JSON.parse(open(keys, versionPlace(row.owner_id, row, 'meta'), row.meta)) as ContentFacts;
}

export function newFileKey(keys: OwnerKeys, file: FileRef): { readonly key: SecretBytes; readonly wrapped: string } {
  const { key, envelope } = keys.newFileKey(versionPlace(keys.ownerId, file, 'key'));
  return { key, wrapped: envelope.toString('hex') };
}

/** Wraps a file key that was made before. */
export function wrapFileKey(keys: OwnerKeys, file: FileRef, key: SecretBytes): string {
  const bytes = plaintext(Buffer.from(key.bytes));
  const envelope = keys.seal('file-keys', versionPlace(keys.ownerId, file, 'key'), bytes);
  bytes.fill(0);
  return envelope.toString('hex');
}

export function openFileKey(keys: OwnerKeys, row: FileDoc & { readonly file_key: string }): SecretBytes {
  return keys.openFileKey(versionPlace(row.owner_id, row, 'key'), envelopeOf(row.file_key));
}

/** The row with its file keys wrapped by the owner's current key. */
export function rewrapped(keys: OwnerKeys, row: FileDoc): FileDoc {
  const changed = withContents(row, ({ version, file_key }) => {
    if (file_key === undefined) return {};
    const place = versionPlace(row.owner_id, { _id: row._id, version }, 'key');
    const key = keys.open('file-keys', place, envelopeOf(file_key));
    const envelope = keys.seal('file-keys', place, key).toString('hex');
    key.fill(0);
    return { file_key: envelope };
  });
  return { ...changed, wrap_version: keys.version };
}

/** The row with name and facts sealed by the owner's current key. */
export function resealed(keys: OwnerKeys, row: FileDoc): FileDoc {
  const changed = withContents(row, ({ version, meta }) => {
    if (meta === undefined) return {};
    const place = versionPlace(row.owner_id, { _id: row._id, version }, 'meta');
    return { meta: seal(keys, place, open(keys, place, meta)) };
  });
  return { ...changed, name: sealName(keys, row._id, openName(keys, row)), seal_version: keys.version };
}

type Envelopes = Pick<OtherContent, 'file_key' | 'meta'>;

/** The row with each of its contents, the current one and the others, under other envelopes. */
function withContents(row: FileDoc, renew: (content: FileDoc | OtherContent) => Envelopes): FileDoc {
  const others = row.others?.map((content) => ({ ...content, ...renew(content) }));
  return { ...row, ...renew(row), ...(others !== undefined && { others }) };
}

function seal(keys: OwnerKeys, place: EncryptionContext, text: string): string {
  const bytes = plaintext(Buffer.from(text, 'utf8'));
  const envelope = keys.seal('records', place, bytes);
  bytes.fill(0);
  return envelope.toString('hex');
}

function open(keys: OwnerKeys, place: EncryptionContext, envelope: string): string {
  const bytes: Plaintext = keys.open('records', place, envelopeOf(envelope));
  const text = bytes.toString('utf8');
  bytes.fill(0);
  return text;
}

/** Characters that are no hex end the buffer early: a damaged field fails like any other short envelope. */
const envelopeOf = (hex: string): Ciphertext => ciphertext(Buffer.from(hex, 'hex'));

/** A name belongs to the file and stays when a version comes. */
const namePlace = (ownerId: string, fileId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'file',
  resourceId: fileId,
  field: 'name',
});

const versionPlace = (ownerId: string, file: FileRef, field: 'meta' | 'key'): EncryptionContext => ({
  ownerId,
  resourceType: 'file',
  resourceId: file._id,
  field,
  fileVersion: file.version,
});
