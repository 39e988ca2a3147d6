import { AuditIntent, AuditOutcome } from '../kernel';

/** `intent` and `outcome` of one act share an id; `read` and `note` stand alone. */
export type AuditPhase = 'intent' | 'outcome' | 'read' | 'note';

/** One line of the log, as docs/audit.md describes it. */
export interface AuditEntry {
  readonly id: string;
  /** ms since the epoch. The order of a writer's entries is that of the chain, whatever its clock did. */
  readonly at: number;
  readonly phase: AuditPhase;
  readonly action: string;
  readonly actor: string;
  readonly resource?: string;
  readonly request_id?: string;
  /** The client's address, in the form that LOG_ADDRESSES says. */
  readonly address?: string;
  readonly outcome?: AuditOutcome;
  readonly details?: AuditIntent['details'];
}

/** Resource and actor may stem from a URL: what is longer than any id of ours is cut. */
const MAX_CHARS = 200;

export const bounded = (text: string): string => (text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text);

export function entryOf(
  id: string,
  at: number,
  phase: AuditPhase,
  intent: AuditIntent,
  request: { readonly requestId?: string; readonly address?: string } = {},
): AuditEntry {
  const request_id = intent.requestId ?? request.requestId;
  return {
    id,
    at,
    phase,
    action: intent.action,
    actor: bounded(intent.actor),
    ...(intent.resource === undefined ? {} : { resource: bounded(intent.resource) }),
    ...(request_id === undefined ? {} : { request_id }),
    ...(request.address === undefined ? {} : { address: request.address }),
    ...(intent.details === undefined ? {} : { details: intent.details }),
  };
}

/** The outcome that belongs to an entry: of the intent that it was, or why a read was refused. */
export function outcomeOf(
  entry: AuditEntry,
  at: number,
  outcome: AuditOutcome,
  details?: AuditIntent['details'],
): AuditEntry {
  const { details: _ofIntent, ...rest } = entry;
  return { ...rest, at, phase: 'outcome', outcome, ...(details === undefined ? {} : { details }) };
}
