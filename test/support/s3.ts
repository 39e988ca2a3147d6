import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Address } from '../../src/blobs/s3';
import { partProgram } from './installed';
import { accepts, freePort, type Managed, startProcess, waitFor } from './processes';

/** A server of the S3 API on a loopback port, without a bucket. */
export interface S3Server {
  readonly endpoint: string;
  readonly port: number;
  /** What the adapter takes. */
  address(bucket?: string): S3Address;
  /** What a service takes. */
  env(bucket?: string): Record<string, string>;
  /** Keys of all objects of a bucket, sorted, but for the one that says whose it is. */
  objects(bucket?: string): Promise<string[]>;
  /** Keys of multipart uploads that were neither completed nor aborted. */
  unfinished(bucket?: string): Promise<string[]>;
  /** Reads and overwrites an object behind the service's back. */
  read(key: string, bucket?: string): Promise<Buffer>;
  write(key: string, bytes: Buffer, bucket?: string): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
}

const KEYS = { id: 'coffer-tests', secret: 'Zr8vQ2mX5tL0pW9sK4nB7yH1cJ6dF3gA' };
const REGION = 'us-east-1';
const BUCKET = 'coffer-blobs';

/**
 * moto: keeps everything in memory, and knows the conditions, checksums and multipart rules of S3.
 */
export async function startS3(): Promise<S3Server> {
  const port = await freePort();
  const server = startProcess(partProgram('moto_server'), ['-H', '127.0.0.1', '-p', String(port)]);
  return asServer(server, port, () => Promise.resolve());
}

/** versitygw: objects as files below a temporary folder. */
export async function startVersitygw(under = tmpdir()): Promise<S3Server> {
  const folder = await mkdtemp(join(under, 'coffer-s3-'));
  const port = await freePort();
  await mkdir(join(folder, 'root'));
  const access = ['--access', KEYS.id, '--secret', KEYS.secret, '--region', REGION, '--port', `127.0.0.1:${port}`];
  const server = startProcess(partProgram('versitygw'), [...access, '--quiet', 'posix', join(folder, 'root')], {
    cwd: folder,
  });
  return asServer(server, port, () => rm(folder, { recursive: true, force: true }));
}

async function asServer(server: Managed, port: number, cleanUp: () => Promise<void>): Promise<S3Server> {
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: KEYS.id, secretAccessKey: KEYS.secret };
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials });
  await waitFor('the S3 server to listen', async () => {
    if (!server.running()) throw new Error(`the S3 server ended: ${server.output()}`);
    return accepts(port);
  });
  return {
    endpoint,
    port,
    address: (bucket = BUCKET) => ({ endpoint, bucket, region: REGION, keys: KEYS }),
    env: (bucket = BUCKET) => ({
      BLOB_STORE: 's3',
      S3_ENDPOINT: endpoint,
      S3_BUCKET: bucket,
      S3_REGION: REGION,
      AWS_ACCESS_KEY_ID: KEYS.id,
      AWS_SECRET_ACCESS_KEY: KEYS.secret,
    }),
    ...behindTheService(client),
    stop: async () => {
      client.destroy();
      await server.stop();
      await cleanUp();
    },
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
  };
}

function behindTheService(client: S3Client): Pick<S3Server, 'objects' | 'unfinished' | 'read' | 'write'> {
  return {
    objects: async (bucket = BUCKET) => {
      const { Contents: found } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      const keys = (found ?? []).map(({ Key }) => Key ?? '');
      return keys.filter((key) => !['blobs/.installation', 'blobs/.location'].includes(key)).sort();
    },
    unfinished: async (bucket = BUCKET) => {
      const { Uploads: found } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return (found ?? []).map(({ Key }) => Key ?? '').sort();
    },
    read: async (key, bucket = BUCKET) => {
      const { Body: body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Buffer.from((await body?.transformToByteArray()) ?? []);
    },
    write: async (key, bytes, bucket = BUCKET) => {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }));
    },
  };
}
