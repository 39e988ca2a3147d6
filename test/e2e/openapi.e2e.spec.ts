import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../support/client';
import { type ApiDocument, type ApiSchema, type NamedOperation, operationsIn } from '../support/openapi';
import { type Service, startService } from '../support/service';

let service: Service;
let document: ApiDocument;
let operations: readonly NamedOperation[];

beforeAll(async () => {
  service = await startService({ env: { PUBLIC_URL: 'https://vault.example.org/coffer' } });
  document = (await new Client(service.url).get('/openapi.json')).json as ApiDocument;
  operations = operationsIn(document);
}, 300_000);
afterAll(() => service.dispose());

const operation = (id: string): NamedOperation => operations.find(({ operationId }) => operationId === id)!;
const named = ({ method, path }: NamedOperation): string => `${method} ${path}`;

/** All schemas of the document with the path to each, wherever they stand. */
function schemasIn(value: unknown, at: string): [string, ApiSchema][] {
  if (typeof value !== 'object' || value === null) return [];
  const own: [string, ApiSchema][] = typeof (value as ApiSchema).type === 'string' ? [[at, value]] : [];
  return [...own, ...Object.entries(value).flatMap(([name, inner]) => schemasIn(inner, `${at}/${name}`))];
}

const root = join(__dirname, '../..');

describe('openapi.json', () => {
  it('is the document that the service makes', () => {
    const script = join(root, 'scripts/openapi.mjs');
    const check = spawnSync(process.execPath, [script, '--check', '--url', service.url], { encoding: 'utf8' });
    expect({ code: check.status, says: check.stderr }).toEqual({ code: 0, says: '' });
  });
});

describe('the OpenAPI document', () => {
  it('has the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(document.info.version).toBe(version);
  });

  it('has an id for each operation that generated clients can rely on', () => {
    expect(operations.map((each) => `${each.operationId}  ${named(each)}`).sort()).toMatchSnapshot();
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  it('gives each route a title, a tag, refusals that any route may give and security by its policy, and closes request bodies', () => {
    for (const each of operations) {
      const { summary, tags, responses, security } = each;
      const refusals = ['431', 'default'].every((status) => status in responses);
      expect([named(each), !!summary, tags.length, refusals, Array.isArray(security)]).toEqual([
        named(each),
        true,
        1,
        true,
        true,
      ]);
    }
    expect(operation('login').security).toEqual([]);
    expect(operation('getUploadOptions').security).toEqual([]);
    expect(operation('createSensitiveData').security).toEqual([{ bearer: [] }]);
    expect(document.components.schemas['WriteSensitiveDataDto']).toMatchObject({
      additionalProperties: false,
      required: ['data_type', 'value'],
    });
  });

  it('names the server by PUBLIC_URL', () => {
    expect(document.servers).toEqual([{ url: 'https://vault.example.org/coffer' }]);
  });

  it('declares its tags, the login first, and lists the routes in their order', () => {
    const tags = document.tags.map(({ name }) => name);
    expect(tags.slice(0, 3)).toEqual(['Login', 'Registration', 'Sessions']);
    const used = [...new Set(operations.flatMap((each) => each.tags))];
    expect([...used].sort()).toEqual([...tags].sort());
    expect(operations[0]!.operationId).toBe('login');
  });

  it('has no number that is not whole, and 64 bits where 32 may not do', () => {
    const numbers = schemasIn(document, '').filter(([, { type }]) => type === 'number' || type === 'integer');
    expect(numbers.length).toBeGreaterThan(50);
    expect(numbers.filter(([, { type, format }]) => type !== 'integer' || format === undefined)).toEqual([]);
    expect(document.components.schemas['FileDto']!.properties!['size']).toMatchObject({ format: 'int64' });
    const limit = operation('listFiles').parameters!.find(({ name }) => name === 'limit')!;
    expect(limit.schema).toMatchObject({ type: 'integer', format: 'int32', minimum: 1, maximum: 200 });
  });

  it('describes each parameter, and demands If-Match where the route does and nowhere else', () => {
    const parameters = operations.flatMap(
      (each) => each.parameters?.map((found) => ({ ...found, of: each.operationId })) ?? [],
    );
    expect(parameters.filter(({ description }) => !description).map(({ of, name }) => `${of} ${name}`)).toEqual([]);
    const conditions = parameters.filter(({ name }) => name.toLowerCase() === 'if-match');
    expect(conditions.length).toBeGreaterThan(5);
    expect(conditions.filter(({ required }) => required).map(({ of }) => of)).toEqual(['replaceFileContent']);
  });

  it('says that raw bytes are bytes', () => {
    for (const [id, type] of [
      ['uploadFile', 'application/octet-stream'],
      ['replaceFileContent', 'application/octet-stream'],
      ['appendToUpload', 'application/offset+octet-stream'],
    ] as const) {
      expect(operation(id).requestBody!.content[type]!.schema).toEqual({ type: 'string', format: 'binary' });
    }
  });

  it('documents headers and the bodies of refusals', () => {
    const headersOf = (id: string, status: string) => Object.keys(operation(id).responses[status]!.headers ?? {});
    expect(headersOf('uploadFile', '201')).toEqual(expect.arrayContaining(['Location', 'ETag', 'X-Request-Id']));
    expect(headersOf('downloadFile', '206')).toEqual(
      expect.arrayContaining(['ETag', 'Content-Range', 'Content-Disposition']),
    );
    expect(headersOf('login', '429')).toEqual(expect.arrayContaining(['Retry-After', 'RateLimit', 'RateLimit-Policy']));
    expect(headersOf('getAccount', '401')).toContain('WWW-Authenticate');
    expect(headersOf('listSensitiveData', '200')).toContain('Link');
    expect(headersOf('getUploadOffset', '200')).toEqual(expect.arrayContaining(['Upload-Offset', 'Upload-Length']));
    for (const { operationId, responses } of operations) {
      for (const [status, { content }] of Object.entries(responses).filter(([each]) => /^[45]/.test(each))) {
        expect([operationId, status, Object.keys(content ?? {})]).toEqual([
          operationId,
          status,
          [expect.stringMatching(/^(application\/problem\+json|text\/plain)$/)],
        ]);
      }
    }
  });

  it('shows in a title who may call and what wants a fresh login', () => {
    expect(operation('retireMasterKeyVersion').summary).toMatch(/ \(administrator\) ⚡$/);
    expect(operation('createFileGrant').summary).toMatch(/[^)] ⚡$/);
    expect(operation('listFiles').summary).not.toMatch(/⚡|administrator/);
  });
});
