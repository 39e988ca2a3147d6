import { Config } from '../config';
import { DomainError } from '../kernel';
import { FixedSecrets } from '../../test/support/sealed-store';
import { Paging } from './paging';

const paging = (publicUrl = 'http://127.0.0.1:8000'): Paging =>
  new Paging(new FixedSecrets(), { http: { publicUrl } } as Config);
const scope = { holderId: 'ann', query: '/sensitive-data?data_type=iban' };

const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
  }
  return 'accepted';
};

describe('a cursor', () => {
  const cursor = paging().cursor('position:7', scope);

  it('gives the position back to the same user and query', () => {
    expect(paging().position(cursor, scope)).toBe('position:7');
    expect(paging().position(undefined, scope)).toBeUndefined();
  });

  it('tells nothing and is another one each time', () => {
    expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toContain('position');
    expect(paging().cursor('position:7', scope)).not.toBe(cursor);
    expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it.each([
    ['another user', { ...scope, holderId: 'bob' }],
    ['another query', { ...scope, query: '/sensitive-data' }],
    ['a user and query that run into each other', { holderId: 'ann/sensitive-data', query: '?data_type=iban' }],
  ])('is not valid for %s', (_who, other) => {
    expect(refusal(() => paging().position(cursor, other))).toBe('invalid_cursor');
  });

  it.each(['', 'x', 'AAAA', '../..', `${cursor}=`, cursor.slice(0, -2), `${cursor}AA`, cursor.toUpperCase()])(
    'is not valid as %j',
    (bad) => {
      expect(refusal(() => paging().position(bad, scope))).toBe('invalid_cursor');
    },
  );

  it('is not valid with any bit of it flipped', () => {
    const bytes = Buffer.from(cursor, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(refusal(() => paging().position(flipped.toString('base64url'), scope))).toBe('invalid_cursor');
    }
  });
});

describe('the link to the next page', () => {
  it('repeats what the client sent, and stands below the path of PUBLIC_URL', () => {
    const link = paging('https://example.org/coffer').nextLink(
      '/things',
      { data_type: 'a&b', limit: undefined },
      'abc',
    );
    expect(link).toBe('</coffer/things?data_type=a%26b&cursor=abc>; rel="next"');
  });
});
