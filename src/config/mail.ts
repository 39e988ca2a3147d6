import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { SECOND } from '../kernel';
import { MailConfig, MailSender } from './config';
import { EnvReader, refused } from './env-reader';
import { Secrets } from './secrets';

/** Port of implicit TLS, without STARTTLS (RFC 8314). */
const IMPLICIT_TLS_PORT = 465;
/** Ten minutes are the longest client timeout for one reply (RFC 5321, 4.5.3.2). */
const LONGEST_TIMEOUT_SECONDS = 600;

const ADDRESS = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9._-]+$/;
const NAMED = /^([^<>\r\n]*)<([^<>]*)>$/;
const QUOTED = /^"((?:[^"\\]|\\.)*)"$/;

export function mail(env: EnvReader, secrets: Secrets): MailConfig {
  const host = env.text('SMTP_SERVER', /^[A-Za-z0-9.:_-]+$/, 'a host name or an address');
  const port = env.whole('SMTP_PORT', 1, 65_535, 587);
  const user = env.text('SMTP_USERNAME');
  const password = secrets.credential('SMTP_PASSWORD');
  const tls = tlsMode(env, port);
  const timeoutMs = env.whole('SMTP_TIMEOUT_SECONDS', 1, LONGEST_TIMEOUT_SECONDS, 60) * SECOND;
  if ((user === undefined) !== (password === undefined))
    secrets.fault(user === undefined ? 'SMTP_USERNAME' : 'SMTP_PASSWORD', 'must be set beside its counterpart');
  const from = sender(env, user);
  if (host === undefined) return { kind: 'outbox', from };
  const login = user === undefined || password === undefined ? undefined : { user, password };
  return { kind: 'smtp', host, port, login, from, tls, timeoutMs, clientName: clientName(env, from) };
}

/**
 * `required` is the former name of `starttls`; under that name port 465 always used implicit TLS.
 */
function tlsMode(env: EnvReader, port: number): Extract<MailConfig, { kind: 'smtp' }>['tls'] {
  const byPort = port === IMPLICIT_TLS_PORT ? 'implicit' : 'starttls';
  const mode = env.oneOf('SMTP_TLS', ['starttls', 'implicit', 'off', 'required'], byPort);
  return mode === 'required' ? byPort : mode;
}

function sender(env: EnvReader, user: string | undefined): MailSender {
  const text = env.text('EMAIL_FROM');
  if (text === undefined)
    return { name: '', address: user !== undefined && ADDRESS.test(user) ? user : 'coffer@localhost' };
  const [, name = '', bracketed] = NAMED.exec(text) ?? [];
  const address = inAscii((bracketed ?? text).trim());
  if (!ADDRESS.test(address)) throw refused('EMAIL_FROM', 'must be an e-mail address, or a name and <an address>');
  return { name: unquoted(name.trim()), address };
}

/** Converts the domain to its ASCII form; returns the address unchanged if there is none. */
function inAscii(address: string): string {
  const at = address.lastIndexOf('@') + 1;
  return address.slice(0, at) + (domainToASCII(address.slice(at)) || address.slice(at));
}

const unquoted = (name: string): string => QUOTED.exec(name)?.[1]?.replace(/\\(.)/g, '$1') ?? name;

/**
 * The client name for EHLO: the host of PUBLIC_URL, or the sender's domain if that host is an IP
 * address or localhost.
 */
function clientName(env: EnvReader, from: MailSender): string {
  const publicUrl = env.url('PUBLIC_URL', ['https:', 'http:']);
  const host = publicUrl === undefined ? '' : new URL(publicUrl).hostname;
  const isName = host !== '' && host !== 'localhost' && !host.startsWith('[') && isIP(host) === 0;
  return isName ? host : from.address.slice(from.address.lastIndexOf('@') + 1);
}
