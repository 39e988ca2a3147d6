// The engines are not here: only the composition root names them (store/embedded, store/mongo).
export * from './collection';
export * from './definition';
export * from './scan-rows';
export * from './schema';
export * from './authenticated-store';
export * from './update';
