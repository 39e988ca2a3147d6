import FindMyWay, { HTTPMethod } from 'find-my-way';
import { RouteOptions } from 'fastify';
import { StartupError } from '../kernel';
import { RoutePolicy, policyOf } from './route-policy';

export interface Route {
  readonly method: string;
  /** The template, such as `/files/:id`. */
  readonly path: string;
  readonly policy: RoutePolicy;
}

/** Method that Fastify serves on every path, without a handler. */
const IMPLIED = 'OPTIONS';

/** All registered routes, as Fastify reports them; no other route can be served. */
export class RouteTable {
  readonly #routes: Route[] = [];
  readonly #matcher = FindMyWay();

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /**
   * Fastify's onRoute hook.
   * @throws StartupError for a route without a policy
   */
  register(options: RouteOptions): void {
    const policy = policyOf(options.config);
    // @fastify/cors registers this route. The request guard treats a route without a policy as
    // unmatched, so it exposes nothing.
    if (options.method === 'OPTIONS' && options.url === '*') return;
    for (const method of [options.method].flat()) {
      if (policy === undefined) throw new StartupError(`The route ${method} ${options.url} declares no policy.`);
      const known = this.#routes.some((route) => route.method === method && route.path === options.url);
      if (known) continue;
      this.#routes.push({ method, path: options.url, policy });
      this.#matcher.on(method as HTTPMethod, options.url, () => undefined);
    }
  }

  /** The methods of a path, for Allow; empty if there is no such path. */
  allowed(path: string): readonly string[] {
    const methods = new Set(this.#routes.map((route) => route.method));
    const found = [...methods].filter((method) => this.#matcher.find(method as HTTPMethod, path) !== null);
    return found.length === 0 ? [] : [...new Set([...found, IMPLIED])].sort();
  }
}

/** A request target without query and fragment. */
export const pathOf = (target = '/'): string => target.split(/[?#]/, 1)[0] ?? '/';
