export type { ByteRange } from './byte-range';
export { ContentResponses } from './content-answers';
export { type Content, sendContent } from './send-content';
