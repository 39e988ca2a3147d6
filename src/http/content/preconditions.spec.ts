import { ConditionHeaders, Validators, evaluate, rangeApplies } from './preconditions';

const MODIFIED = Date.UTC(2026, 10, 22, 10, 0, 0, 500);
const SAME = 'Sun, 22 Nov 2026 10:00:00 GMT';
const BEFORE = 'Sun, 22 Nov 2026 09:59:59 GMT';
const AFTER = 'Sun, 22 Nov 2026 10:00:01 GMT';
const current: Validators = { etag: '"a.1"', modifiedAt: MODIFIED };

describe('preconditions', () => {
  it.each<[string, ConditionHeaders]>([
    ['no condition', {}],
    ['If-Match with its tag', { 'if-match': '"a.1"' }],
    ['If-Match with its tag in a list', { 'if-match': '"x", "a.1"' }],
    ['If-Match: *', { 'if-match': '*' }],
    ['If-None-Match with another tag', { 'if-none-match': '"a.2"' }],
    ['If-None-Match without quotes', { 'if-none-match': 'a.1' }],
    ['If-Modified-Since before', { 'if-modified-since': BEFORE }],
    ['If-Modified-Since that is no date', { 'if-modified-since': 'yesterday' }],
    ['If-Unmodified-Since the same second', { 'if-unmodified-since': SAME }],
    ['If-Unmodified-Since that is no date', { 'if-unmodified-since': '2020' }],
    ['If-Match over a failing If-Unmodified-Since', { 'if-match': '"a.1"', 'if-unmodified-since': BEFORE }],
    ['another tag over If-Modified-Since', { 'if-none-match': '"a.2"', 'if-modified-since': AFTER }],
  ])('let a request proceed with %s', (_, headers) => {
    expect(evaluate(headers, current)).toBe('proceed');
  });

  it.each<[string, ConditionHeaders]>([
    ['If-None-Match with its tag', { 'if-none-match': '"a.1"' }],
    ['If-None-Match with its tag, weak', { 'if-none-match': 'W/"a.1"' }],
    ['If-None-Match with its tag in a list', { 'if-none-match': '"b", W/"a.1"' }],
    ['If-None-Match: *', { 'if-none-match': '*' }],
    ['If-Modified-Since the same second', { 'if-modified-since': SAME }],
    ['If-Modified-Since after', { 'if-modified-since': AFTER }],
  ])('answer "not modified" to %s', (_, headers) => {
    expect(evaluate(headers, current)).toBe('not-modified');
  });

  it.each<[string, ConditionHeaders]>([
    ['If-Match with another tag', { 'if-match': '"a.2"' }],
    ['If-Match with its tag, weak', { 'if-match': 'W/"a.1"' }],
    ['an empty If-Match', { 'if-match': '' }],
    ['If-Unmodified-Since before', { 'if-unmodified-since': BEFORE }],
  ])('refuse %s', (_, headers) => {
    expect(() => evaluate(headers, current)).toThrow(expect.objectContaining({ code: 'precondition_failed' }) as Error);
  });

  it.each([undefined, '"a.1"', ' "a.1" '])('honour a Range with If-Range %s', (header) => {
    expect(rangeApplies(header, current)).toBe(true);
  });

  it.each(['"a.2"', 'W/"a.1"', SAME, BEFORE, AFTER, '', '*', 'nonsense'])(
    'ignore a Range with If-Range %s',
    (header) => {
      expect(rangeApplies(header, current)).toBe(false);
    },
  );
});
