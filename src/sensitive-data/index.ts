export { RecordsUserData } from './owned-records';
export { SensitiveDataModule } from './sensitive-data.module';
