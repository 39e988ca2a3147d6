export * from './batch';
export * from './home-spans';
export * from './master-key';
export * from './master-key-homes';
export * from './master-key-row';
export { asOneOperation, inAttempts } from './operation-deadline';
export { PartSize } from './part-size';
export * from './wrap-context';
