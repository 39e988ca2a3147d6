export { BlobStore, type ByteRange } from './blob-store';
