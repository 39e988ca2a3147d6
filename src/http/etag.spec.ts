import { isDomainError } from '../kernel';
import { etag, requireMatch } from './etag';

const refused = (header: string | undefined): boolean => {
  try {
    requireMatch(header, etag(3));
    return false;
  } catch (error) {
    return isDomainError(error, 'precondition_failed');
  }
};

it.each([undefined, '"3"', '*', '"1", "3"', ' "3" '])('If-Match %j lets a change of revision 3 through', (header) => {
  expect(refused(header)).toBe(false);
});

it.each(['"2"', '3', 'W/"3"', '""', '"1","2"', '', '"3'])('If-Match %j refuses a change of revision 3', (header) => {
  expect(refused(header)).toBe(true);
});
