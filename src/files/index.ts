export { FilesModule } from './files.module';
export { OwnedFiles } from './owned-files';
export { OwnedUploads } from './uploads';
