import { limitKey, shownAddress } from './client-address';

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('%s is counted as %s', (address, key) => {
  expect(limitKey(address)).toBe(key);
});

describe('The address in the logs', () => {
  it.each([
    ['203.0.113.7', 'full', '203.0.113.7'],
    ['203.0.113.7', 'truncated', '203.0.113.0/24'],
    ['::ffff:203.0.113.7', 'full', '203.0.113.7'],
    ['::ffff:203.0.113.7', 'truncated', '203.0.113.0/24'],
    ['2001:db8:1:2:3:4:5:6', 'full', '2001:db8:1:2:3:4:5:6'],
    ['2001:db8:1:2:3:4:5:6', 'truncated', '2001:db8:1::/48'],
    ['2001:db8::1', 'truncated', '2001:db8:0::/48'],
    ['fe80::1%eth0', 'truncated', 'fe80:0:0::/48'],
    ['no address', 'truncated', undefined],
    ['203.0.113.7', 'off', undefined],
  ] as const)('of %s is with %s %s', (address, form, shown) => {
    expect(shownAddress(address, form)).toBe(shown);
  });
});
