import { isIPv4, isIPv6 } from 'node:net';

/**
 * The address in the form set by LOG_ADDRESSES: full, truncated to a network (/24, /48 for IPv6),
 * or omitted.
 */
export function shownAddress(address: string, form: 'full' | 'truncated' | 'off'): string | undefined {
  if (form === 'off') return undefined;
  const bare = limitKey(address);
  if (form === 'full') return bare.endsWith('/64') ? address : bare;
  if (bare.endsWith('/64'))
    return `${expand(address.split('%')[0] ?? address)
      .slice(0, 3)
      .join(':')}::/48`;
  return isIPv4(bare) ? `${bare.split('.').slice(0, 3).join('.')}.0/24` : undefined;
}

/**
 * The key of limits by address: an IPv4 address, or the /64 of an IPv6 address, which one household
 * or host controls.
 */
export function limitKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const bare = address.split('%')[0] ?? address;
  return isIPv6(bare) ? `${expand(bare).slice(0, 4).join(':')}::/64` : address;
}

function expand(address: string): readonly string[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  if (tail === undefined) return groups(head);
  const missing = 8 - groups(head).length - groups(tail).length;
  return [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)];
}
