import { DomainError, ERROR_CODES } from '../kernel';
import { CODES, problemOf } from './problem';
import { toDomainError } from './refusal';

it('every code has a status from 400 on and a title of its own', () => {
  expect(Object.keys(CODES).sort()).toEqual([...ERROR_CODES].sort());
  for (const { status } of Object.values(CODES)) expect(status >= 400 && status < 600).toBe(true);
  const titles = Object.values(CODES).map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});

it('an extension cannot replace a member of the problem', () => {
  const error = new DomainError('rotation_running', { extensions: { rotation_id: 'r1', status: 200, code: 'fine' } });
  expect(problemOf(error, 'id')).toMatchObject({ rotation_id: 'r1', status: 409, code: 'rotation_running' });
});

it('an error with a status of its own, of nobody that we know, is internal', () => {
  const posing = Object.assign(new Error('x'), { statusCode: 404, code: 'EPIPE' });
  expect(toDomainError(posing).code).toBe('internal');
  expect(toDomainError('thrown text').code).toBe('internal');
  expect(toDomainError(undefined).code).toBe('internal');
});
