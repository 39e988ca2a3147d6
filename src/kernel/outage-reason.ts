/**
 * What Node, OpenSSL and DNS call a fault. Nothing else of an error goes into a log: texts quote
 * addresses and what was sent.
 */
const CODE = /^[A-Z][A-Z0-9_]{2,59}$/;
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^(ENOTFOUND|EAI_|EDNS|ENODATA|ESERVFAIL|EREFUSED)/, 'its name is not found in DNS'],
  [/^ECONNREFUSED$/, 'the connection is refused'],
  [/^(ECONNRESET|EPIPE|ECONNABORTED|ECONNECTION)$/, 'the connection breaks'],
  [/^(EHOSTUNREACH|ENETUNREACH|ENETDOWN)$/, 'there is no route to it'],
  [/^(ETIMEDOUT|ERR_CANCELED|ESOCKETTIMEDOUT)$/, 'no answer in time'],
  [/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/, 'its certificate is not trusted'],
  [/^(EPROTO|ETLS|ERR_SSL_|ERR_TLS_)/, 'TLS does not come about'],
];
/** Errors hold one another; one that holds itself must not go round for ever. */
const DEPTH = 6;

interface Fault {
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/**
 * Why the other side was not reached, in words and with the system's code; undefined where the
 * error does not say.
 */
export function outageReason(error: unknown): string | undefined {
  for (const code of codesOf(error, DEPTH)) {
    const kind = KINDS.find(([codes]) => codes.test(code));
    if (kind !== undefined) return `${kind[1]} (${code})`;
  }
  return undefined;
}

function codesOf(error: unknown, depth: number): string[] {
  if (depth === 0 || typeof error !== 'object' || error === null) return [];
  const { code, originalCode, cause, errors } = error as Fault;
  const own = [originalCode, code].filter((each): each is string => typeof each === 'string' && CODE.test(each));
  const inner = [cause, ...(Array.isArray(errors) ? (errors as unknown[]) : [])];
  return [...inner.flatMap((each) => codesOf(each, depth - 1)), ...own];
}
