import type { mongo } from 'mongoose';

/** A server's response to `hello`. */
export type Hello = Readonly<Record<string, unknown>>;

export const isWritable = (hello: Hello): boolean => hello['isWritablePrimary'] === true || hello['msg'] === 'isdbgrid';

/** True if a set has other members: a single member becomes primary again by itself. */
export const hasPeers = ({ hosts }: Hello): boolean => Array.isArray(hosts) && hosts.length > 1;

const PRIMARIES: ReadonlySet<string> = new Set(['RSPrimary', 'Mongos', 'LoadBalancer']);

/**
 * False if `directConnection` ties the driver to a server that is not primary, because its reads
 * would be stale. The driver handles a server that does not respond.
 */
export function readsFromPrimary({ type, servers }: Pick<mongo.TopologyDescription, 'type' | 'servers'>): boolean {
  if (type !== 'Single') return true;
  return [...servers.values()].every((server) => server.type === 'Unknown' || PRIMARIES.has(server.type));
}
