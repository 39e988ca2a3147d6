export * from './batch';
export * from './master-key';
export * from './master-key-row';
export * from './wrap-context';
