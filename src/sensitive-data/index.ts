export { RecordsUserData } from './records-user-data';
export { SensitiveDataDto } from './sensitive-data.dto';
export { SensitiveDataService } from './sensitive-data.service';
export { SensitiveDataModule } from './sensitive-data.module';
