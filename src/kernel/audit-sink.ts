import { isDomainError } from './errors';

/** What an act is called in the log, `noun.verb` as `record.create` or `login.password`. Listed in docs/api.md. */
export type AuditAction = `${string}.${string}`;

/** What is known before an act. Holds ids and names of things, never a value, a file name, a code or an address in clear. */
export interface AuditIntent {
  readonly action: AuditAction;
  /** User id, or `anonymous`, or `system:<job>`. */
  readonly actor: string;
  /** What the act is done to, as `record/<id>`. */
  readonly resource?: string;
  readonly requestId?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /** Strangers may try it as often as they like: a flood of its refusals becomes one entry with a count. */
  readonly gathers?: true;
}

export type AuditOutcome = 'done' | 'refused' | 'failed';

/** An act whose intent is durable. `close` is called once. */
export interface OpenAct {
  /** Queues the outcome; it is durable with the next group commit. Never throws: the act has already happened. */
  close(outcome: AuditOutcome, details?: Readonly<Record<string, string | number | boolean>>): void;
}

/** The port through which every house reports; its one adapter is in audit/. Fails closed. */
export abstract class AuditSink {
  /** Resolves when the intent is durable. @throws DomainError `store_unavailable` where the store is away, `audit_unavailable` for any other reason. */
  abstract begin(intent: AuditIntent): Promise<OpenAct>;
  /** One entry for a read, durable before the answer goes out. Does nothing with AUDIT_READS=off. @throws as `begin`. */
  abstract read(intent: AuditIntent): Promise<void>;
  /** An entry that nothing waits for and that cannot refuse: a refusal, a forged row, a job's step. Never throws. */
  abstract note(intent: AuditIntent, outcome: AuditOutcome): void;
}

/**
 * Runs an act between its intent and its outcome: `done` when it returns, `refused` when it throws a DomainError, else `failed`.
 * `detailsOf` says what the outcome tells of an act that was done.
 */
export async function audited<T>(
  sink: AuditSink,
  intent: AuditIntent,
  act: () => Promise<T>,
  detailsOf?: (result: T) => AuditIntent['details'],
): Promise<T> {
  const open = await sink.begin(intent);
  try {
    const result = await act();
    open.close('done', detailsOf?.(result));
    return result;
  } catch (error) {
    open.close(isDomainError(error) ? 'refused' : 'failed', isDomainError(error) ? { code: error.code } : undefined);
    throw error;
  }
}
