export { FilesModule } from './files.module';
export { FilesUserData, UploadsUserData } from './user-data';
