export { GridFsBlobStore } from './gridfs-blob-store';
