export { KeyManagementModule } from './key-administration.module';
