// Exports no engine: only the composition root imports store/embedded and store/mongo.
export * from './collection';
export * from './definition';
export * from './encrypted-collections';
export * from './scan-rows';
export * from './schema';
export * from './authenticated-store';
export * from './update';
