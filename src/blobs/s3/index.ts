export { S3BlobStore } from './s3-blob-store';
export { type S3Address } from './s3-connection';
