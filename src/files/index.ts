export { FileDto } from './http/dto/files.dto';
export { ListFiles } from './operations/list-files';
export { FilesModule } from './files.module';
export { FilesUserData, UploadsUserData } from './user-data';
