export { FilesModule } from './files.module';
export { OwnedFiles } from './owned-files';
