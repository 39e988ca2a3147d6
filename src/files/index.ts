export { FilesModule } from './files.module';
export { FilesUserData } from './user-data';
export { UploadsUserData } from './resumable';
