import { METHODS, STATUS_CODES, ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { DomainError, SECOND, newId } from '../kernel';
import { CODES, problemOf } from './problem';
import { problemHeaders } from './problem-headers';
import { methodNotAllowed } from './refusal';
import { RouteTable, pathOf } from './route-table';
import { SECURITY_HEADERS } from './security-headers';

interface SocketError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

interface PartlyAnswered {
  readonly _httpMessage?: ServerResponse | null;
}

const LINGER = SECOND;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) (\/\S*) HTTP\/1\.[01]\r?\n/;

const answered = new WeakSet<Duplex>();

/**
 * Responds to bytes that Node cannot parse as a request: broken syntax, headers too large or too
 * slow, an unknown method.
 * Neither a request nor a reply exists, so the response is written by hand, in the usual shape and
 * with the usual headers.
 */
export function answerBrokenRequest(error: SocketError, socket: Duplex, routes: RouteTable): void {
  if (answered.has(socket)) return;
  answered.add(socket);
  answerInTurn(socket, error, () => rawAnswer(refusalFor(error, routes)));
}

/**
 * Lets a complete request before the broken bytes finish first, because pipelined responses are in
 * order.
 */
function answerInTurn(socket: Duplex, error: SocketError, answer: () => string): void {
  const current = (socket as Duplex & PartlyAnswered)._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
  } else if (current?.req.complete === true) {
    current.once('close', () => answerInTurn(socket, error, answer));
  } else if (current?.headersSent === true) {
    socket.destroy();
  } else {
    endWith(socket, answer());
  }
}

function endWith(socket: Duplex, answer: string): void {
  socket.end(answer);
  // If the socket closed at once, unread bytes would reset the connection and discard the response.
  setTimeout(() => socket.destroy(), LINGER).unref();
}

function refusalFor({ code, rawPacket }: SocketError, routes: RouteTable): DomainError {
  if (code === 'HPE_HEADER_OVERFLOW') return new DomainError('headers_too_large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new DomainError('request_timeout');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new DomainError('too_large');
  if (code === 'CONNECT') return methodNotAllowed([], { detail: 'This server is not a proxy.' });
  return (code === 'HPE_INVALID_METHOD' && unknownMethod(rawPacket, routes)) || notHttp();
}

const notHttp = (): DomainError =>
  new DomainError('validation_failed', { detail: 'This is not a valid HTTP request.' });

function unknownMethod(packet: Buffer | undefined, routes: RouteTable): DomainError | undefined {
  const [, method, target] = REQUEST_LINE.exec(packet?.subarray(0, 4096).toString('latin1') ?? '') ?? [];
  // A method that Node knows belongs to the request before the broken one.
  if (method === undefined || target === undefined || METHODS.includes(method)) return undefined;
  const allowed = routes.allowed(pathOf(target));
  if (allowed.length === 0) return new DomainError('not_found');
  return methodNotAllowed(allowed);
}

function rawAnswer(error: DomainError): string {
  const id = newId();
  const { status } = CODES[error.code];
  const body = JSON.stringify(problemOf(error, id));
  const headers = {
    ...SECURITY_HEADERS,
    ...problemHeaders(error),
    'x-request-id': id,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
