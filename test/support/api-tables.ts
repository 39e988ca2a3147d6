import { CODES } from '../../src/http/problem';
import { Route, RoutePolicy, principalsOf } from '../../src/http';

/** The tables of docs/api.md, as the code has them. */

const templateOf = (path: string): string => path.replaceAll(/:([^/]+)/g, '{$1}');

export function routeRows(routes: readonly Route[]): string[] {
  const hasGet = (path: string): boolean => routes.some((route) => route.method === 'GET' && route.path === path);
  const told = routes.filter(({ method, path }) => method !== 'HEAD' || !hasGet(path));
  const rows = told.map(({ method, path, policy }) => {
    const conditions = [
      policy.stepUp === true && '⚡',
      policy.rateLimit !== undefined && `limit by address: ${policy.rateLimit}`,
      policy.idempotent === 'replay' && 'Idempotency-Key',
      policy.idempotent === 'secret' && 'Idempotency-Key, answer not replayed',
      policy.body === 'stream' && 'body streams',
      typeof policy.body === 'number' && `body up to ${policy.body} bytes`,
      policy.always === true && 'answers always',
    ];
    return `| ${method} | \`${templateOf(path)}\` | ${callersOf(policy)} | ${conditions.filter(Boolean).join('; ')} |`;
  });
  const path = (row: string): string => row.split('`')[1] ?? '';
  return rows.map(tidy).sort((a, b) => (path(a) + a < path(b) + b ? -1 : 1));
}

/** The scope that a route wants, or whom an open one takes. */
function callersOf(policy: RoutePolicy): string {
  if (policy.scope === undefined) return policy.access;
  const withTicket = principalsOf(policy).includes('link-holder') ? ', or an upload ticket' : '';
  return `\`${policy.scope}\`${withTicket}`;
}

/** One space where a formatter may have put several. */
const tidy = (row: string): string => row.replaceAll(/ +/g, ' ');

export const codeRows = (): string[] =>
  Object.entries(CODES).map(([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} |`);

/**
 * The rows between the markers `<!-- name -->` and `<!-- /name -->` of a page, without the two
 * lines of the table's head.
 */
export function rowsIn(page: string, name: string): string[] {
  const [, inside = ''] = new RegExp(`<!-- ${name} -->\\n(.*?)<!-- /${name} -->`, 's').exec(page) ?? [];
  return inside
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map(tidy);
}

export function withRows(page: string, name: string, rows: readonly string[]): string {
  const pattern = new RegExp(`(<!-- ${name} -->\\n\\n?(?:\\|[^\\n]*\\n){2}).*?(\\n?<!-- /${name} -->)`, 's');
  return page.replace(pattern, (_whole, head: string, end: string) => `${head}${rows.join('\n')}\n${end}`);
}
