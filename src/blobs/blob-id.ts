/** What every blob store takes for an id: nothing in it can leave a folder, a bucket prefix or a URL path segment. */
const BLOB_ID = /^[a-z0-9-]{1,64}$/;

export const isBlobId = (id: string): boolean => BLOB_ID.test(id);

/** A caller that makes up an id of another kind is a programmer's mistake, never bad input. @throws TypeError */
export function requireBlobId(id: string): void {
  if (!isBlobId(id)) throw new TypeError('a blob id is 1 to 64 characters of [a-z0-9-]');
}
