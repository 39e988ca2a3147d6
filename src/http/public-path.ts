import { FastifyInstance } from 'fastify';
import { HttpConfig } from '../config/config';

/**
 * The path of PUBLIC_URL without a trailing slash, which a proxy strips before it forwards a
 * request. Empty if there is none.
 */
export const publicPathOf = ({ publicUrl }: Pick<HttpConfig, 'publicUrl'>): string =>
  new URL(publicUrl).pathname.replace(/\/+$/, '');

/**
 * Prepends the path of PUBLIC_URL to every Location with a path of this service, including replayed
 * ones. Handlers use only their own paths, so none can omit the prefix.
 */
export function placeLocations(fastify: FastifyInstance, http: HttpConfig): void {
  const prefix = publicPathOf(http);
  if (prefix === '') return;
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    const location = reply.getHeader('location');
    if (typeof location === 'string' && location.startsWith('/')) void reply.header('location', prefix + location);
    done(null, payload);
  });
}
