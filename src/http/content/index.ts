export type { ByteRange } from './byte-range';
export { ContentAnswers } from './content-answers';
export { type Content, sendContent } from './send-content';
