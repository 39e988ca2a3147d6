import { BLOB_STORES, Config, S3Config } from './config';
import { EnvReader, refused } from './env-reader';
import { Secrets } from './secrets';

/**
 * Selects the blob store. S3 may be configured beside another store, as the target of
 * `npm run blobs -- migrate`.
 */
export function blobs(env: EnvReader, secrets: Secrets, hasMongo: boolean): Config['blobs'] {
  const store = env.oneOf('BLOB_STORE', BLOB_STORES, 'filesystem');
  if (store === 'gridfs' && !hasMongo) throw refused('MONGODB_URL', 'must be set where BLOB_STORE is gridfs');
  const s3 = s3Config(env, secrets);
  if (store === 's3' && s3 === undefined) throw refused('S3_BUCKET', 'must be set where BLOB_STORE is s3');
  return { store, s3 };
}

function s3Config(env: EnvReader, secrets: Secrets): S3Config | undefined {
  const bucket = env.text('S3_BUCKET', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket');
  if (bucket === undefined) return undefined;
  const endpoint = env.url('S3_ENDPOINT', ['https:', 'http:']);
  const region = env.text('S3_REGION', /^[A-Za-z0-9-]{1,64}$/, 'the name of a region') ?? 'us-east-1';
  const keys = s3Keys(secrets);
  if (endpoint !== undefined && keys === undefined)
    secrets.fault('AWS_ACCESS_KEY_ID', 'must be set where S3_ENDPOINT is');
  return { endpoint, bucket, region, keys };
}

function s3Keys(secrets: Secrets): S3Config['keys'] {
  const id = secrets.credential('AWS_ACCESS_KEY_ID');
  const secret = secrets.credential('AWS_SECRET_ACCESS_KEY');
  if (id === undefined && secret === undefined) return undefined;
  if (secret === undefined) secrets.fault('AWS_SECRET_ACCESS_KEY', 'must be set beside AWS_ACCESS_KEY_ID');
  if (id === undefined) secrets.fault('AWS_ACCESS_KEY_ID', 'must be set beside AWS_SECRET_ACCESS_KEY');
  return { id: id ?? '', secret: secret ?? '' };
}
