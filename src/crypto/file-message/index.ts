export { FileEncryption, type FileSummary } from './encrypt-file';
export { type FileContext, keyExport, type KeyExport } from './file-context';
export { FileMessages } from './file-messages';
export { FramePool, type FramePoolOptions, type WorkerEntry } from './frame-pool';
export { FRAME_BYTES, MAX_PLAINTEXT_BYTES, MessageLayout, type Span } from './layout';
export { type StoredFile } from './open-file';
