import { chooseRange } from './byte-range';

const SIZE = 1000;
const part = (start: number, end: number) => ({ kind: 'part', range: { start, end } });

describe('a Range header', () => {
  it.each([
    ['bytes=0-0', part(0, 0)],
    ['bytes=0-499', part(0, 499)],
    ['bytes=500-', part(500, 999)],
    ['bytes=999-', part(999, 999)],
    ['bytes=0-', part(0, 999)],
    ['bytes=990-5000', part(990, 999)],
    ['bytes=-1', part(999, 999)],
    ['bytes=-1000', part(0, 999)],
    ['bytes=-5000', part(0, 999)],
    ['BYTES=1-2', part(1, 2)],
    ['bytes= 1-2 ', part(1, 2)],
    ['bytes=1-2,', part(1, 2)],
    ['bytes=00001-00002', part(1, 2)],
    ['bytes=0-99999999999999999999', part(0, 999)],
    [`bytes=1-${'9'.repeat(400)}`, part(1, 999)],
    [`bytes=-${'9'.repeat(400)}`, part(0, 999)],
    [`bytes=${'0'.repeat(400)}1-2`, part(1, 2)],
  ])('%s asks for one part', (header, expected) => {
    expect(chooseRange(header, SIZE)).toEqual(expected);
  });

  it.each([
    'bytes=1000-',
    'bytes=1000-2000',
    'bytes=5000-',
    'bytes=-0',
    'bytes=99999999999999999999-',
    'bytes=99999999999999999998-99999999999999999999',
  ])('%s cannot be satisfied', (header) => {
    expect(chooseRange(header, SIZE)).toEqual({ kind: 'unsatisfiable' });
  });

  it.each([
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=,',
    'bytes=a-b',
    'bytes=1',
    'bytes=5-4',
    'bytes=1-2-3',
    'bytes=-1-2',
    'bytes=0x1-0x2',
    'bytes=1.5-2',
    'bytes=+1-2',
    'bytes 1-2',
    'items=0-1',
    'bytes=0-1,5-6',
    'bytes=0-0,-1',
    'bytes=99999999999999999999-99999999999999999998',
  ])('%s is ignored', (header) => {
    expect(chooseRange(header, SIZE)).toEqual({ kind: 'whole' });
  });

  it.each(['bytes=0-', 'bytes=0-0', 'bytes=-0'])('%s of an empty content cannot be satisfied', (header) => {
    expect(chooseRange(header, 0)).toEqual({ kind: 'unsatisfiable' });
  });

  it.each(['bytes=-1', 'bytes=-5'])('%s of an empty content asks for all of it', (header) => {
    expect(chooseRange(header, 0)).toEqual({ kind: 'whole' });
  });
});
