export { ApiProblems } from './api-problems';
export { Caller, ClientAddress, OptionalCaller } from './caller';
export { etag, requireMatch } from './etag';
export { ARRAY_LIMIT, DEFAULT_LIMIT, MAX_LIMIT, PageQueryDto, wholeNumber } from './page-query.dto';
export { Paging, type PageScope } from './paging';
export { Policy, type RoutePolicy } from './policy';
