export { FilesModule } from './files.module';
export { FilesUserData } from './files-user-data';
export { UploadsUserData } from './resumable';
