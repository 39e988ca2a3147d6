export { FilesModule } from './files.module';
export { FilesUserData } from './owned-files';
export { UploadsUserData } from './uploads';
