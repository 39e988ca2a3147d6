import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../support/client';
import { type ApiDocument, operationsIn } from '../support/openapi';
import { describeWithPart, isLong } from '../support/parts';
import { partProgram } from '../support/installed';
import { startProcess } from '../support/processes';
import { type Service, startService } from '../support/service';
import { commandArgs } from '../support/tools';

/** All checks are on but for these; each exception with its reason. */
const CONFIG = `
# What a schema cannot say is refused with 400 or 422 although the schema allows it: cursors and tickets of this server alone, codes of
# mails, keys of earlier requests, passwords that are guessed first.
[checks.positive_data_acceptance]
enabled = false

# tus answers 412 without Tus-Resumable; RFC 6585 has 428 for a missing precondition; POST to an upload without an override is 405.
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 405, 406, 412, 415, 422, 428]

# tus, as above. An administrator's role and a step-up are looked at before the input, which 401 and 403 say. A text that is far too
# long makes the head of the request too long: 431.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, 431, 507]

# A header that nobody knows is passed over, as HTTP wants it.
[[operations]]
include-path = "/uploads"
checks.negative_data_rejection.enabled = false

# DELETE of a drop box takes any id, "open" too: it is served, with 404.
[[operations]]
include-path = "/upload-links/open"
checks.allow_header_conformance.enabled = false
`;

describeWithPart('schemathesis', 'Requests made of the OpenAPI document', () => {
  let service: Service;
  let folder: string;
  let document: ApiDocument;

  beforeAll(async () => {
    service = await startService({ env: { TRASH_DAYS: '30' } });
    const client = new Client(service.url);
    const person = { username: 'first-administrator', password: 'Generated-Requests-7' };
    await client.post('/register', { ...person, email: 'first@example.org' });
    document = (await client.get('/openapi.json')).json as ApiDocument;
    folder = mkdtempSync(join(tmpdir(), 'coffer-schemathesis-'));
    writeFileSync(join(folder, 'schemathesis.toml'), CONFIG);
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(statusesNamed(document)));
  }, 300_000);
  afterAll(async () => {
    await service.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Its exit code and what it said. */
  async function generate(
    who: 'user' | 'administrator',
    args: readonly string[],
  ): Promise<{ code: number | null; said: string }> {
    const env = {
      COFFER_URL: service.url,
      ...(who === 'administrator' && { ...service.env, COFFER_GRANT: JSON.stringify(granting()) }),
      SCHEMATHESIS_HOOKS: join(__dirname, '../clients/schemathesis_hooks.py'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const command = ['--config-file', join(folder, 'schemathesis.toml'), 'run', join(folder, 'openapi.json')];
    const all = [...command, '--url', service.url, '--no-color', ...args];
    const run = startProcess(partProgram('schemathesis'), all, { env, cwd: folder });
    return { code: await run.exited, said: run.output() };
  }

  const granting = (): string[] => [process.execPath, ...commandArgs('admin', 'grant')];

  const administrators = (): string[] =>
    operationsIn(document)
      .filter(({ summary }) => summary.includes('(administrator)'))
      .flatMap(({ operationId }) => ['--include-operation-id', operationId]);

  const forms: [who: 'user' | 'administrator', args: () => string[]][] = isLong()
    ? [
        ['user', () => ['--max-examples', '100']],
        ['administrator', () => ['--max-examples', '100']],
      ]
    : [
        ['user', () => ['--phases', 'examples,coverage', '--seed', '1']],
        ['administrator', () => ['--phases', 'examples,coverage', '--seed', '1', ...administrators()]],
      ];

  it.each(forms)(
    'meet no fault of the server, no status that is not documented, and no check that fails, as %s',
    async (who, args) => {
      const { code, said } = await generate(who, args());
      expect(code === 0 ? '' : said.slice(-20_000)).toBe('');
      expect(said).toMatch(/\d+ generated/);
      // As an administrator who stays one: an account that lost its rights would be refused
      // everywhere, and all checks would hold.
      if (who === 'administrator') expect(said).not.toContain('403 Forbidden');
      const count = operationsIn(document).length;
      if (isLong()) expect(said).toContain(`Selected: ${count}/${count}`);
    },
    2 * 3_600_000,
  );
});

/** Without `default`, which would let any status pass for a documented one. */
function statusesNamed(document: ApiDocument): ApiDocument {
  const copy = structuredClone(document) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  };
  for (const item of Object.values(copy.paths)) {
    for (const operation of Object.values(item)) delete operation.responses['default'];
  }
  return copy as unknown as ApiDocument;
}
