import { FormData } from 'undici';
import { signUp } from '../support/accounts';
import { type Client, expectProblem, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';
import { rawConnection } from '../support/raw-http';
import { createUpload, newUpload, patchUpload } from '../support/tus';

/** What HTTP promises to clients that a test of one feature would not ask for. */
let coffer: Coffer;
let client: Client;

beforeAll(async () => {
  coffer = await startCoffer({ env: { MAX_FILE_SIZE: '1000' } });
  client = (await signUp(coffer.client)).client;
});
afterAll(() => coffer.close());

describe('an upload that expects 100-continue', () => {
  const RAW = ['Content-Type: application/octet-stream', 'Content-Length: 5'];
  const FORM = ['Content-Type: multipart/form-data; boundary=b'];
  const PIECE = ['Tus-Resumable: 1.0.0', 'Content-Type: application/offset+octet-stream'];

  async function firstAnswer(request: string, headers: readonly string[]): Promise<string> {
    const connection = await rawConnection(coffer.client.target());
    const lines = ['Host: x', 'Expect: 100-continue', `Authorization: Bearer ${client.token ?? ''}`, ...headers];
    await connection.write(`${request} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    await connection.matches(/\r\n\r\n/);
    connection.socket.destroy();
    return /^HTTP\/1\.1 (\d+)/.exec(connection.received())?.[1] ?? connection.received();
  }

  it('is asked for its body where that is wanted', async () => {
    expect(await firstAnswer('POST /files?name=wanted', RAW)).toBe('100');
    expect(await firstAnswer('POST /files', [...FORM, 'Content-Length: 500'])).toBe('100');
  });

  it('gets the refusal alone that needs no body', async () => {
    const { id } = expectStatus(await client.upload('taken', 'x'), 201) as { id: string };
    const upload = await newUpload(client, 'tus', 10);
    const done = (await createUpload(client, 'done', 1, { body: Buffer.from('x') })).headers['location']!;
    const answers = [
      ['409', 'POST /files?name=taken', RAW],
      ['413', 'POST /files?name=large', [RAW[0]!, 'Content-Length: 1001']],
      ['413', 'POST /files', [...FORM, 'Content-Length: 9999999']],
      ['415', 'POST /files?name=other', ['Content-Type: text/plain', 'Content-Length: 5']],
      ['400', 'POST /files', [...FORM, 'Content-Length: 500', 'Idempotency-Key: k']],
      ['404', 'PUT /files/none/content', [...FORM, 'Content-Length: 500', 'If-Match: *']],
      ['404', 'PUT /files/none/content', [...RAW, 'If-Match: *']],
      ['412', `PUT /files/${id}/content`, [...FORM, 'Content-Length: 500', 'If-Match: "other"']],
      ['428', `PUT /files/${id}/content`, RAW],
      ['409', `PATCH ${upload}`, [...PIECE, 'Upload-Offset: 3', 'Content-Length: 5']],
      ['413', `PATCH ${upload}`, [...PIECE, 'Upload-Offset: 0', 'Content-Length: 11']],
      ['404', 'PATCH /uploads/none', [...PIECE, 'Upload-Offset: 0', 'Content-Length: 5']],
      ['409', `PATCH ${done}`, [...PIECE, 'Upload-Offset: 3', 'Content-Length: 5']],
      ['413', `PATCH ${done}`, [...PIECE, 'Upload-Offset: 1', 'Content-Length: 5']],
    ] as const;
    for (const [status, request, headers] of answers) {
      expect([request, headers, await firstAnswer(request, headers)]).toEqual([request, headers, status]);
    }
  });
});

describe('a repeat key of an upload', () => {
  const headers = { 'idempotency-key': 'a-key-of-an-upload' };

  it('is refused in a form and with raw bytes, and nothing is stored', async () => {
    const form = new FormData();
    form.append('file', new Blob(['content']), 'keyed');
    for (const options of [
      { body: form, headers },
      {
        body: 'content',
        headers: { ...headers, 'content-type': 'application/octet-stream' },
        query: { name: 'keyed' },
      },
    ]) {
      const answer = await client.send('POST', '/files', options);
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.json.errors).toEqual([
        { pointer: '/idempotency-key', in: 'header', message: expect.stringContaining('not heeded for an upload') },
      ]);
    }
    expect((await client.get('/files?name=keyed')).json.items).toEqual([]);
    const { id } = expectStatus(await client.upload('to be replaced', 'x'), 201) as { id: string };
    const replaced = {
      body: 'new',
      headers: { ...headers, 'if-match': '*', 'content-type': 'application/octet-stream' },
    };
    expectProblem(await client.send('PUT', `/files/${id}/content`, replaced), 400, 'validation_failed');
  });

  it('is refused at /uploads in the manner of tus, but for a piece, whose offset makes it safe', async () => {
    const answer = await createUpload(client, 'keyed', 1, { headers });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('idempotency-key')]);
    const path = await newUpload(client, 'keyed', 1);
    expect((await patchUpload(client, path, 0, Buffer.from('x'), { headers })).status).toBe(204);
  });
});

describe('a form', () => {
  const field = (name: string, value: string): string =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const file = (fileName: string): string =>
    `--b\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n\r\ncontent\r\n`;
  const headers = { 'content-type': 'multipart/form-data; boundary=b' };
  const send = (...parts: readonly string[]) =>
    client.send('POST', '/files', { headers, body: `${parts.join('')}--b--\r\n` });

  it.each([
    ['name', 'other'],
    ['expires_in', '60'],
    ['content_type', 'text/plain'],
    ['sha256', '0'.repeat(64)],
    ['client_encrypted', 'true'],
    ['envelope', '{}'],
  ])(
    'is refused with %s after the file, which would come too late to count, and stores nothing',
    async (name, value) => {
      const answer = await send(file(`late ${name}`), field(name, value));
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.json.errors).toEqual([{ pointer: `/${name}`, message: 'must come before file' }]);
      expect((await client.get(`/files?name=late ${name}`)).json.items).toEqual([]);
    },
  );

  it.each([
    [
      'a field twice',
      [field('expires_in', '60'), field('expires_in', '70'), file('a')],
      '/expires_in',
      'may be given once',
    ],
    ['two files', [file('a'), file('b')], '/file', 'may be given once'],
    [
      'a field that there is elsewhere',
      [field('expires_at', '2099-01-01'), file('a')],
      '/expires_at',
      'is not known here',
    ],
    [
      'one that there is nowhere, after the file',
      [file('a'), field('encrypted', '1')],
      '/encrypted',
      'is not known here',
    ],
  ])('is refused with %s', async (_what, parts, pointer, message) => {
    const answer = await send(...parts);
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.json.errors).toEqual([{ pointer, message }]);
    expect((await client.get('/files?name=a')).json.items).toEqual([]);
  });

  // RFC 2047, 5 (3): an encoded word does not stand in a quoted string. RFC 7578, 4.2: the name is
  // UTF-8 as it is.
  it.each(['=?utf-8?B?dcyILnR4dA==?=', '=?iso-8859-1?Q?=FC.txt?='])(
    'keeps the file name %s as it stands',
    async (name) => {
      expect(expectStatus(await send(file(name)), 201)).toMatchObject({ name });
    },
  );
});

describe('405', () => {
  it('names the methods of the path at every route', async () => {
    const upload = await newUpload(client, 'methods', 1);
    for (const [method, path, allow] of [
      ['POST', upload, 'DELETE, HEAD, OPTIONS, PATCH, POST'],
      ['GET', upload, 'DELETE, HEAD, OPTIONS, PATCH, POST'],
      ['DELETE', '/files', 'GET, HEAD, OPTIONS, POST'],
      ['POST', '/openapi.json', 'GET, HEAD, OPTIONS'],
    ] as const) {
      const answer = await client.send(method, path);
      expect([method, path, answer.status, answer.headers['allow']]).toEqual([method, path, 405, allow]);
    }
  });
});
