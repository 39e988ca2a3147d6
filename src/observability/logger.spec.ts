import { createLogger, describeError } from './logger';
import { currentRequestId, runInRequest } from './request-context';

function logged(write: (logger: ReturnType<typeof createLogger>) => void, level = 'debug'): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger({ level, destination: { write: (line) => void lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a log line', () => {
  it('has a time, a level by name and the id of the request that caused it', async () => {
    const [line] = await new Promise<Record<string, unknown>[]>((resolve) =>
      runInRequest({ requestId: 'request-1' }, () =>
        setImmediate(() => resolve(logged((logger) => logger.info({ route: '/x' }, 'request')))),
      ),
    );
    expect(line).toMatchObject({ level: 'info', request_id: 'request-1', route: '/x', msg: 'request' });
    expect(line?.['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(currentRequestId()).toBeUndefined();
  });

  it.each([
    'authorization',
    'cookie',
    'password',
    'otp',
    'token',
    'access_token',
    'refresh_token',
    'mfa_token',
    'value',
    'body',
    'query',
    'url',
  ])('holds no %s', (name) => {
    const [line] = logged((logger) => logger.info({ [name]: 'sent-by-a-client' }));
    expect(JSON.stringify(line)).not.toContain('sent-by-a-client');
  });

  it('holds no headers of a request that somebody logged whole', () => {
    const req = { headers: { authorization: 'Bearer sent' }, url: '/x?sent', body: 'sent', query: 'sent' };
    expect(JSON.stringify(logged((logger) => logger.info({ req })))).not.toContain('sent');
  });

  it('is left out below the level', () => {
    expect(logged((logger) => logger.info('x'), 'warn')).toEqual([]);
    expect(logged((logger) => logger.fatal('x'), 'silent')).toEqual([]);
  });
});

describe('an error in the log', () => {
  it('keeps name, code, place and our own words', () => {
    const described = describeError(Object.assign(new TypeError('a key has 32 bytes'), { code: 'ERR_X' }));
    expect(described).toMatchObject({ name: 'TypeError', code: 'ERR_X', message: 'a key has 32 bytes' });
    expect(described.stack?.[0]).toMatch(/^at .*logger\.spec/);
  });

  it('loses the words of a driver or a parser, which may quote the document, on its stack and in its causes too', () => {
    const driver = Object.assign(new Error('dup key: { name: "sent" }'), { name: 'MongoServerError', code: 11000 });
    const error = new Error('wrapped', { cause: driver });
    const text = JSON.stringify(describeError(error));
    expect(text).toContain('MongoServerError');
    expect(text).not.toContain('sent');
    const syntax = (): unknown => JSON.parse('{"sent": nonsense}') as unknown;
    expect(syntax).toThrow();
    try {
      syntax();
    } catch (fault) {
      expect(JSON.stringify(describeError(fault))).not.toContain('sent');
    }
  });

  it.each([undefined, null, 'thrown text', 7])('need not be an error: %j', (thrown) => {
    expect(JSON.stringify(describeError(thrown))).not.toContain('thrown text');
  });
});
