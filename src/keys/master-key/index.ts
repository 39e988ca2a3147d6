export * from './master-key';
export * from './master-key-instance';
export * from './master-key-row';
export * from './routed-master-key';
export * from './version-ranges';
