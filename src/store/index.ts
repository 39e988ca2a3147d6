// The engines are not here: only the composition root names them (store/embedded, store/mongo).
export * from './collection';
export * from './definition';
export * from './scan-rows';
export * from './first-administrator';
export * from './installation';
export * from './installation-blobs';
export * from './installation-moves';
export * from './installation-peppers';
export * from './installation-user-keys';
export * from './schema';
export * from './authenticated-store';
export * from './update';
