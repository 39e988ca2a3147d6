import { randomBytes } from 'node:crypto';
import { S3BlobStore } from '../../src/blobs/s3';
import { StartupError, isDomainError } from '../../src/kernel';
import { type FaultProxy, type Refusal, startFaultProxy } from '../support/fault-proxy';
import { describeWithPart, type S3Server, startS3 } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const INSTALLATION = 'an-installation';
const coded = (code: string): string => `<Error><Code>${code}</Code><Message>secret-looking text</Message></Error>`;

describeWithPart('moto', 'a start on an S3 server', () => {
  let server: S3Server;
  let proxy: FaultProxy;
  let bucket: string;

  beforeAll(async () => {
    server = await startS3();
    proxy = await startFaultProxy(server.endpoint);
  }, 120_000);
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });
  beforeEach(async () => {
    proxy.mode = 'pass';
    bucket = `b${randomBytes(8).toString('hex')}`;
    await opened(true);
  });

  const opened = (createBucket = false): Promise<string> =>
    new S3BlobStore({ ...server.address(bucket), endpoint: proxy.address }, { createBucket }).open(INSTALLATION);
  const fault = (): Promise<unknown> =>
    opened().then(
      () => undefined,
      (error: unknown) => error,
    );

  it.each<[string, Refusal, RegExp]>([
    [
      'conditions',
      { status: 501, body: coded('NotImplemented'), only: /^PUT .*installation\?x-id/ },
      /NotImplemented.*conditional/,
    ],
    ['parts with checksums', { status: 501, body: coded('NotImplemented'), only: /partNumber=1/ }, /NotImplemented/],
    [
      'conditions of an upload',
      { status: 501, body: coded('NotImplemented'), only: /^POST .*uploadId=/ },
      /NotImplemented/,
    ],
    ['a region', { status: 301, body: coded('PermanentRedirect') }, /PermanentRedirect.*S3_REGION/],
    [
      'a signature',
      { status: 400, body: coded('AuthorizationHeaderMalformed') },
      /AuthorizationHeaderMalformed.*S3_REGION/,
    ],
    ['credentials', { status: 403, body: coded('InvalidAccessKeyId') }, /InvalidAccessKeyId.*AWS_ACCESS_KEY_ID/],
    ['a bucket', { status: 404, body: coded('NoSuchBucket') }, /NoSuchBucket.*make the bucket first/],
    ['uploads', { status: 403, body: coded('AccessDenied'), only: /^POST .*uploads/ }, /AccessDenied/],
    ['the end of uploads', { status: 403, body: coded('AccessDenied'), only: /^DELETE / }, /abort.*AccessDenied/],
    ['reading', { status: 403, body: coded('AccessDenied'), only: /^GET / }, /AccessDenied/],
    ['everything, without a code', { status: 405, body: '<html>' }, /HTTP 405/],
  ])('that refuses %s for good is refused with its own code', async (_what, refusal, said) => {
    proxy.mode = refusal;
    const error = await fault();
    expect(error).toBeInstanceOf(StartupError);
    expect((error as StartupError).message).toMatch(said);
    expect((error as StartupError).message).not.toContain('secret-looking');
  });

  it.each<[string, FaultProxy['mode']]>([
    ['does not answer', 'cut'],
    ['is overloaded', { status: 503, body: coded('SlowDown') }],
    ['has a fault of its own', { status: 500, body: coded('InternalError') }],
  ])('that %s is waited for', async (_what, mode) => {
    proxy.mode = mode;
    expect(isDomainError(await fault(), 'store_unavailable')).toBe(true);
    proxy.mode = 'pass';
    await opened();
  });

  it('that passes over conditions is refused, and nothing on it is changed', async () => {
    const before = await server.read('blobs/.installation', bucket);
    proxy.mode = { without: 'if-none-match' };
    const error = await fault();
    expect(error).toBeInstanceOf(StartupError);
    expect((error as StartupError).message).toContain('ignores the condition If-None-Match of PutObject');
    expect(await server.read('blobs/.installation', bucket)).toEqual(before);
    proxy.mode = { without: 'if-none-match', of: /^POST / };
    expect(((await fault()) as StartupError).message).toContain('of CompleteMultipartUpload');
    expect(await server.read('blobs/.installation', bucket)).toEqual(before);
    expect(await server.unfinished(bucket)).toEqual([]);
  });

  it('without the bucket that has the blobs says the code too', async () => {
    const gone = new S3BlobStore({ ...server.address('never-made'), endpoint: proxy.address }, { createBucket: true });
    await expect(gone.open(INSTALLATION, 'owned')).rejects.toThrow(/NoSuchBucket.*is not where the blobs/);
  });
});
