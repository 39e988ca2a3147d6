import type { mongo } from 'mongoose';

/** What a server says of itself when it answers `hello`. */
export type Hello = Readonly<Record<string, unknown>>;

export const isWritable = (hello: Hello): boolean => hello['isWritablePrimary'] === true || hello['msg'] === 'isdbgrid';

/** Whether a server that is not the primary has others beside it: alone it becomes one again. */
export const hasPeers = ({ hosts }: Hello): boolean => Array.isArray(hosts) && hosts.length > 1;

const PRIMARIES: ReadonlySet<string> = new Set(['RSPrimary', 'Mongos', 'LoadBalancer']);

/**
 * False where the driver is tied to one server (`directConnection`) that is no primary: it would read there, behind the primary. A server
 * that does not answer is the driver's to tell.
 */
export function readsFromPrimary({ type, servers }: Pick<mongo.TopologyDescription, 'type' | 'servers'>): boolean {
  if (type !== 'Single') return true;
  return [...servers.values()].every((server) => server.type === 'Unknown' || PRIMARIES.has(server.type));
}
