export { KeyAdministrationModule } from './key-administration.module';
