import { BlockList, isIP, isIPv6 } from 'node:net';

/** Names that TRUSTED_PROXIES accepts for networks. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** A set of addresses and CIDR networks from the configuration. */
export class Networks {
  readonly #known = new BlockList();

  constructor(networks: readonly string[]) {
    for (const network of networks.flatMap((name) => NAMED[name] ?? [name])) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      this.#known.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
    }
  }

  contains(address: string): boolean {
    const bare = (/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address).split('%', 1)[0] ?? '';
    return isIP(bare) !== 0 && this.#known.check(bare, isIPv6(bare) ? 'ipv6' : 'ipv4');
  }
}

/** Whether this is an address, or a network in CIDR. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([0-9a-fA-F:.]{2,45})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(bits ?? 0) <= (family === 6 ? 128 : 32);
}
