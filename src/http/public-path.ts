import { FastifyInstance } from 'fastify';
import { HttpConfig } from '../config/config';

/** The path of PUBLIC_URL without a slash at its end: what a proxy strips before it hands a request on. Empty where there is none. */
export const publicPathOf = ({ publicUrl }: Pick<HttpConfig, 'publicUrl'>): string =>
  new URL(publicUrl).pathname.replace(/\/+$/, '');

/**
 * Puts the path of PUBLIC_URL before every Location that names a path of this service, replayed ones too. Handlers name their own paths
 * only, so none can forget it.
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
