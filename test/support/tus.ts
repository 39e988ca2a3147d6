import { type Answer, type Client } from './client';
import { type RawConnection, rawConnection } from './raw-http';

const OFFSET_TYPE = 'application/offset+octet-stream';

/** tus by hand: what a client library would not send as well. */
export interface PatchOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

export const metadataOf = (pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');

export function createUpload(
  client: Client,
  name: string,
  length: number,
  more: { readonly headers?: Readonly<Record<string, string>>; readonly body?: Buffer } = {},
): Promise<Answer> {
  const headers = {
    'tus-resumable': '1.0.0',
    'upload-length': String(length),
    'upload-metadata': metadataOf({ filename: name }),
    ...(more.body !== undefined && { 'content-type': OFFSET_TYPE }),
    ...more.headers,
  };
  return client.send('POST', '/uploads', { headers, ...(more.body !== undefined && { body: more.body }) });
}

/** Creates one that has to come about, and gives its address. */
export async function newUpload(client: Client, name: string, length: number): Promise<string> {
  const answer = await createUpload(client, name, length);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  return answer.headers['location'] ?? '';
}

export function patchUpload(
  client: Client,
  path: string,
  offset: number,
  body: Buffer,
  { headers = {} }: PatchOptions = {},
): Promise<Answer> {
  return client.send('PATCH', path, {
    headers: { 'tus-resumable': '1.0.0', 'upload-offset': String(offset), 'content-type': OFFSET_TYPE, ...headers },
    body,
  });
}

export const headUpload = (client: Client, path: string): Promise<Answer> =>
  client.head(path, { headers: { 'tus-resumable': '1.0.0' } });

export async function offsetOf(client: Client, path: string): Promise<number> {
  const answer = await headUpload(client, path);
  if (answer.status !== 200) throw new Error(`HEAD ${answer.status}`);
  return Number(answer.headers['upload-offset']);
}

export const endUpload = (client: Client, path: string): Promise<Answer> =>
  client.delete(path, { headers: { 'tus-resumable': '1.0.0' } });

/**
 * A PATCH whose head has been sent, on a connection of its own: the test writes the body, and
 * breaks it.
 */
export async function rawPatch(
  url: string,
  client: Client,
  path: string,
  length: number,
  offset = 0,
): Promise<RawConnection> {
  const connection = await rawConnection(url);
  const head = [
    `PATCH ${path} HTTP/1.1`,
    'Host: a',
    `Authorization: Bearer ${client.token ?? ''}`,
    'Tus-Resumable: 1.0.0',
    `Upload-Offset: ${offset}`,
    `Content-Type: ${OFFSET_TYPE}`,
    `Content-Length: ${length}`,
  ];
  await connection.write(`${head.join('\r\n')}\r\n\r\n`);
  return connection;
}
