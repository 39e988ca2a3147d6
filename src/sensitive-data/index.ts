export { RecordsUserData } from './records-user-data';
export { SensitiveDataModule } from './sensitive-data.module';
