export * from './config';
export { loadConfig, type LoadOptions } from './load-config';
export { releaseVersion } from './version';
