import { admittedPeppers } from './peppers';

const start = (current: string, previous?: string): { current: string; previous: string | undefined } => ({
  current,
  previous,
});

describe('the peppers that an installation admits', () => {
  it.each<[string, readonly string[] | undefined, { current: string; previous: string | undefined }, unknown]>([
    ['whatever the first start has', undefined, start('a'), ['a']],
    ['both, of a first start in the middle of a change', undefined, start('b', 'a'), ['b', 'a']],
    ['the present one', ['a'], start('a'), ['a']],
    ['no other one', ['a'], start('b'), undefined],
    ['no other one whose former one is another too', ['a'], start('c', 'b'), undefined],
    ['a new one beside the present one', ['a'], start('b', 'a'), ['b', 'a']],
    ['the former one of a replica that lags behind', ['b', 'a'], start('a'), ['b', 'a']],
    ['the new one again', ['b', 'a'], start('b', 'a'), ['b', 'a']],
    ['the new one alone, which ends the change', ['b', 'a'], start('b'), ['b']],
    ['not the former one after that', ['b'], start('a'), undefined],
    ['the way back', ['b', 'a'], start('a', 'b'), ['a', 'b']],
    ['a second change, which ends the first one', ['b', 'a'], start('c', 'b'), ['c', 'b']],
    ['not a second change from the one before the present one', ['b', 'a'], start('c', 'a'), undefined],
    ['the present one, whatever is said of a former one', ['b'], start('b', 'x'), ['b']],
  ])('%s', (_what, recorded, checks, admitted) => {
    expect(admittedPeppers(recorded, checks)).toEqual(admitted);
  });
});
