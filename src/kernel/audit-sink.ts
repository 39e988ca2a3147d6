import { isDomainError } from './errors';

/**
 * What an act is called in the log, `noun.verb` as `record.create` or `login.password`. Listed in
 * docs/api.md.
 */
export type AuditAction = `${string}.${string}`;

/**
 * What is known before an act. Holds ids and names of things, never a value, a file name, a code or
 * an address in clear.
 */
export interface AuditIntent {
  readonly action: AuditAction;
  /** User id, or `anonymous`, or `system:<job>`. */
  readonly actor: string;
  /** What the act is done to, as `record/<id>`. */
  readonly resource?: string;
  readonly requestId?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /**
   * Strangers may try it as often as they like: a flood of its refusals becomes one entry with a
   * count.
   */
  readonly gathers?: true;
}

export type AuditOutcome = 'done' | 'refused' | 'failed';

/** An act whose intent is durable. `close` is called once. */
export interface OpenAct {
  /**
   * Queues the outcome; it is durable with the next group commit. Never throws: the act has already
   * happened.
   */
  close(outcome: AuditOutcome, details?: Readonly<Record<string, string | number | boolean>>): void;
}

/** The port through which every module reports; its one adapter is in audit/. Fails closed. */
export abstract class AuditSink {
  /**
   * Resolves when the intent is durable.
   * @throws DomainError `store_unavailable` where the store is away, `audit_unavailable` for any
   * other reason.
   */
  abstract begin(intent: AuditIntent): Promise<OpenAct>;
  /**
   * One entry for a read, durable before the answer goes out. Does nothing with AUDIT_READS=off.
   * @throws as `begin`.
   */
  abstract read(intent: AuditIntent): Promise<void>;
  /**
   * An entry that nothing waits for and that cannot refuse: a refusal, a forged row, a job's step.
   * Never throws.
   */
  abstract note(intent: AuditIntent, outcome: AuditOutcome): void;
}

/**
 * Runs an act between its intent and its outcome: `done` when it returns, `refused` when it throws
 * a DomainError, else `failed`. `detailsOf` says what the outcome tells of an act that was done.
 */
export async function audited<T>(
  sink: AuditSink,
  intent: AuditIntent,
  act: () => Promise<T>,
  detailsOf?: (result: T) => AuditIntent['details'],
): Promise<T> {
  const begun = async (begin: BeginAct): Promise<T> => {
    await begin();
    return act();
  };
  return auditedAfterLook(sink, intent, begun, detailsOf);
}

/**
 * Makes the intent durable, with more details where they are known by now. Called again it does
 * nothing more.
 * @throws as `AuditSink.begin`
 */
export type BeginAct = (details?: AuditIntent['details']) => Promise<void>;

/**
 * As `audited`, for an act that first looks whether it may be done: `act` calls `begin` between the
 * look and its first change. What is refused before that leaves one entry, a note, as nothing was
 * begun.
 */
export async function auditedAfterLook<T>(
  sink: AuditSink,
  intent: AuditIntent,
  act: (begin: BeginAct) => Promise<T>,
  detailsOf?: (result: T) => AuditIntent['details'],
): Promise<T> {
  let opening: Promise<OpenAct> | undefined;
  const begin: BeginAct = async (details) => {
    opening ??= sink.begin(details === undefined ? intent : { ...intent, details: { ...intent.details, ...details } });
    await opening;
  };
  try {
    const result = await act(begin);
    await begin();
    (await opening)?.close('done', detailsOf?.(result));
    return result;
  } catch (error) {
    const outcome = isDomainError(error) ? 'refused' : 'failed';
    const code = isDomainError(error) ? { code: error.code } : undefined;
    if (opening === undefined) sink.note({ ...intent, details: { ...intent.details, ...code } }, outcome);
    // An intent that could not be written has its refusal from the sink.
    else (await opening.catch(() => undefined))?.close(outcome, code);
    throw error;
  }
}

/** Runs a look that nothing is begun by. What it refuses leaves one entry, a note. */
export async function notedIfRefused<T>(sink: AuditSink, intent: AuditIntent, look: () => T | Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (isDomainError(error)) {
      sink.note({ ...intent, details: { ...intent.details, code: error.code } }, 'refused');
    }
    throw error;
  }
}
