export { BlobStore, type ByteRange, type ListOptions } from './blob-store';
