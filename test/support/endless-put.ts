import { BlobStore } from '../../src/blobs';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { GridFsBlobStore } from '../../src/blobs/gridfs';
import { S3Address, S3BlobStore } from '../../src/blobs/s3';
import { MongoAddress, MongoStore } from '../../src/store/mongo';

// A program for kill tests: puts a blob that never ends under the id given, and says so once 20 MiB
// of it have been taken.
const [kind, address, id] = process.argv.slice(2);

function open(): BlobStore {
  if (kind === 's3') return new S3BlobStore(JSON.parse(address!) as S3Address, { createBucket: false });
  if (kind === 'gridfs') {
    return new GridFsBlobStore(new MongoStore(JSON.parse(address!) as MongoAddress).connection);
  }
  return new FilesystemBlobStore(address!);
}

async function* endless(): AsyncIterable<Uint8Array> {
  for (let chunk = 0; ; chunk += 1) {
    yield Buffer.alloc(256 * 1024, chunk);
    if (chunk === 80) process.stdout.write('writing\n');
    if (chunk >= 80) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

void open().put(id!, endless());
