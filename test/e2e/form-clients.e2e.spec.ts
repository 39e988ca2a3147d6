import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { signUp } from '../support/accounts';
import { type Coffer, startCoffer } from '../support/coffer';
import { partProgram } from '../support/installed';
import { describeWithParts } from '../support/parts';
import { bareEnvironment } from '../support/processes';
import { projectRoot } from '../support/root';

/** requests comes with one of these parts, httpx with the other. */
describeWithParts(['schemathesis', 'openapi-python-client'], 'Forms of Python libraries', () => {
  let coffer: Coffer;
  beforeAll(async () => {
    coffer = await startCoffer();
  });
  afterAll(() => coffer.close());

  it.each(['plain.txt', 'ü 日本 😀.txt', 'semi;colon=.txt', '100%.txt'])(
    'keep the file name %s, however they write it',
    async (suffix) => {
      const { client } = await signUp(coffer.client);
      const script = join(projectRoot(), 'test/clients/form_clients.py');
      const args = [script, client.target(), client.token ?? '', suffix];
      const env = { ...bareEnvironment(), PYTHONDONTWRITEBYTECODE: '1' };
      const { stdout } = await promisify(execFile)(partProgram('python'), args, { env });
      const named = ['requests', 'httpx', 'urllib3', 'rfc2231'].map((way) => [way, `${way} ${suffix}`]);
      expect(JSON.parse(stdout)).toEqual(Object.fromEntries(named));
    },
    120_000,
  );
});
