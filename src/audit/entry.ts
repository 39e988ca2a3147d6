import { AuditIntent, AuditOutcome } from '../kernel';

/** `intent` and `outcome` of one action share an id; `read` and `note` are single entries. */
export type AuditPhase = 'intent' | 'outcome' | 'read' | 'note';

/** One entry of the log, as in docs/audit.md. */
export interface AuditEntry {
  readonly id: string;
  /** ms since the epoch. The chain, not this clock, defines the order of a writer's entries. */
  readonly at: number;
  readonly phase: AuditPhase;
  readonly action: string;
  readonly actor: string;
  /** The service account that acted for the actor, a subject of it. */
  readonly act?: string;
  readonly resource?: string;
  readonly request_id?: string;
  /** The client's address, in the form set by LOG_ADDRESSES. */
  readonly address?: string;
  readonly outcome?: AuditOutcome;
  readonly details?: AuditIntent['details'];
}

/** Resource and actor may come from a URL; text longer than any id of Coffer is cut. */
const MAX_CHARS = 200;

export const bounded = (text: string): string => (text.length > MAX_CHARS ? text.slice(0, MAX_CHARS) : text);

export function entryOf(
  id: string,
  at: number,
  phase: AuditPhase,
  intent: AuditIntent,
  request: { readonly requestId?: string; readonly address?: string; readonly act?: string } = {},
): AuditEntry {
  const request_id = intent.requestId ?? request.requestId;
  return {
    id,
    at,
    phase,
    action: intent.action,
    actor: bounded(intent.actor),
    ...(request.act === undefined ? {} : { act: request.act }),
    ...(intent.resource === undefined ? {} : { resource: bounded(intent.resource) }),
    ...(request_id === undefined ? {} : { request_id }),
    ...(request.address === undefined ? {} : { address: request.address }),
    ...(intent.details === undefined ? {} : { details: intent.details }),
  };
}

/** Returns the outcome entry of an intent, or of a read that was rejected. */
export function outcomeOf(
  entry: AuditEntry,
  at: number,
  outcome: AuditOutcome,
  details?: AuditIntent['details'],
): AuditEntry {
  const { details: _ofIntent, ...rest } = entry;
  return { ...rest, at, phase: 'outcome', outcome, ...(details === undefined ? {} : { details }) };
}
