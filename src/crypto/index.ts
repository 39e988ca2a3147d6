export * from './aead';
export * from './context';
export * from './format-fault';
export * from './hash';
export * from './random';
export * from './record-envelope';
export * from './file-message';
