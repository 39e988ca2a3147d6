export type { ByteRange } from './byte-range';
export { type Content, sendContent } from './send-content';
