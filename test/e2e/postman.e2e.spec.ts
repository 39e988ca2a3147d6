import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Service, startService } from '../support/service';

const root = join(__dirname, '../..');

describe('The Postman collection', () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.dispose());

  it('is what the routes of the service give', () => {
    const script = join(root, 'scripts/postman.mjs');
    const check = spawnSync(process.execPath, [script, '--check', '--url', service.url], { encoding: 'utf8' });
    expect({ code: check.status, says: check.stderr }).toEqual({ code: 0, says: '' });
  });

  it('has a request for every operation of the OpenAPI document', async () => {
    const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const methods = new Set(['get', 'head', 'post', 'put', 'patch', 'delete']);
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((method) => methods.has(method))
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    const collection = JSON.parse(readFileSync(join(root, 'postman/coffer.postman_collection.json'), 'utf8')) as {
      item: { name: string; item: { name: string }[] }[];
    };
    const requests = collection.item.filter((folder) => folder.name !== 'Walk').flatMap((folder) => folder.item);
    expect(requests.map((request) => request.name).sort()).toEqual(operations.sort());
  });

  it('holds no token and no code', () => {
    const environment = readFileSync(join(root, 'postman/coffer.postman_environment.json'), 'utf8');
    const { values } = JSON.parse(environment) as { values: { type: string; value: string }[] };
    expect(values.filter((variable) => variable.type === 'secret' && variable.value !== '')).toEqual([]);
  });
});
