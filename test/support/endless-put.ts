import { FilesystemBlobStore } from '../../src/blobs/filesystem';

// A program for kill tests: puts a blob that never ends under the id given, and says so once 4 MiB of it have been taken.
const [root, id] = process.argv.slice(2);

async function* endless(): AsyncIterable<Uint8Array> {
  for (let chunk = 0; ; chunk += 1) {
    yield Buffer.alloc(256 * 1024, chunk);
    if (chunk === 16) process.stdout.write('writing\n');
    if (chunk >= 16) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

void new FilesystemBlobStore(root!).put(id!, endless());
