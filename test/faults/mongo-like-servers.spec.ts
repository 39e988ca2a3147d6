import { MongoStore } from '../../src/store/mongo';
import { thingDefinition } from '../contract/collection/things';
import { type MongoProxy, startMongoProxy } from '../support/mongo-proxy';
import type { Command } from '../support/mongo-wire';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

/**
 * The answers of FerretDB 1.24 and of Amazon DocumentDB 4 to an index that is to hold for some rows
 * only.
 */
const NO_PARTIAL_INDEXES: readonly (readonly [string, Command, Command])[] = [
  [
    'FerretDB 1.24.0 at MONGODB_URL lacks partial indexes (partialFilterExpression), which Coffer needs',
    { ferretdb: { version: '1.24.0' } },
    {
      ok: 0,
      code: 238,
      codeName: 'NotImplemented',
      errmsg: 'Index option "partialFilterExpression" is not implemented yet',
    },
  ],
  [
    'The server (it says MongoDB 4.0.0) at MONGODB_URL lacks partial indexes (partialFilterExpression), which Coffer needs',
    { version: '4.0.0' },
    { ok: 0, code: 303, errmsg: 'Feature not supported: partialFilterExpression' },
  ],
];

describeWithPart('secantus', 'A server that speaks the protocol of MongoDB', () => {
  let server: Secantus;
  let proxy: MongoProxy;

  beforeAll(async () => {
    server = await startSecantus();
    proxy = await startMongoProxy(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });
  beforeEach(() => {
    proxy.faults.length = 0;
  });

  async function refusal(url: string): Promise<{ name: string; message: string; reason?: string }> {
    const store = new MongoStore({ url, dbName: 'likeness' });
    store.collection(thingDefinition());
    const fault: unknown = await store.prepare().catch((error: unknown) => error);
    await store.close();
    return fault as Error;
  }

  it.each(NO_PARTIAL_INDEXES)('and has no partial indexes is refused: %s', async (line, info, answer) => {
    proxy.faults.push(
      { command: 'buildInfo', act: (reply) => ({ ...reply, ...info }), times: Infinity },
      { command: 'createIndexes', act: answer, times: Infinity },
    );
    const { name, message } = await refusal(proxy.url);
    expect(name).toBe('StartupError');
    expect(message.startsWith(`${line}: use MongoDB`)).toBe(true);
    expect(message).not.toContain('\n');
  });

  it('and does not know the user or the password is waited for, and the log can say so', async () => {
    const refused = { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' };
    proxy.faults.push({ command: 'saslStart', act: refused, times: Infinity });
    const url = proxy.url.replace('mongodb://', 'mongodb://someone:hunter2@');
    const fault = await refusal(`${url}&authMechanism=SCRAM-SHA-256`);
    expect(fault.reason).toBe('MongoDB (MONGODB_URL): the user name or the password is wrong');
    expect(JSON.stringify([fault.message, fault.reason])).not.toContain('hunter2');
  });
});
