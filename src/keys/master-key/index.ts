export * from './batch';
export * from './version-ranges';
export * from './master-key';
export * from './routed-master-key';
export * from './master-key-row';
export { PartSize } from './part-size';
export * from './wrap-context';
