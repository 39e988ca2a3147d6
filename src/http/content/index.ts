export type { ByteRange } from './byte-range';
export { ContentResponses } from './content-responses';
export { type Content, sendContent } from './send-content';
