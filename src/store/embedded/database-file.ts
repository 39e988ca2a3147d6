import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'data.mdb';
/**
 * Offset in LMDB's first page of the magic number and the format version, 4 bytes each,
 * little-endian.
 */
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const SIGNATURE_BYTES = 8;

/**
 * @throws Error if the folder holds a file that LMDB did not write: lmdb would crash on it with
 * SIGSEGV
 */
export function checkDatabaseFile(folder: string): void {
  const head = readHead(join(folder, FILE));
  if (head.length === 0) return;
  if (head.length < MAGIC_AT + SIGNATURE_BYTES || head.readUInt32LE(MAGIC_AT) !== MAGIC) {
    throw new Error(`${FILE} is not a database, or is cut short`);
  }
}

/** Empty if the file is missing or new. */
function readHead(path: string): Buffer {
  const head = Buffer.alloc(MAGIC_AT + SIGNATURE_BYTES);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    return head.subarray(0, readSync(file, head, 0, head.length, 0));
  } finally {
    closeSync(file);
  }
}
