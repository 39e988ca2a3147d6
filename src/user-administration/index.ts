export { UserAdministration } from './user-administration';
export { UserAdministrationModule } from './user-administration.module';
