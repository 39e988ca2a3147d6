export { NOTE_FILES } from './data-folder';
export * from './first-administrator';
export * from './installation.collection';
export * from './open-installation';
export * from './peppers';
export * from './placement';
