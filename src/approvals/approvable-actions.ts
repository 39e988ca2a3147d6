import { Injectable } from '@nestjs/common';
import { AuditAction } from '../kernel';

/** An approved request: the requester, the approver and the resource. */
export interface ApprovedRequest {
  readonly id: string;
  readonly resource: string;
  readonly requestedBy: string;
  readonly approvedBy: string;
}

/**
 * An action that needs two administrators. The feature that owns the action registers it; this
 * module imports no feature.
 */
export interface ApprovableAction {
  /**
   * Checks, without side effects, that the action can run now. Called at the request and at the
   * approval.
   * @throws DomainError the reason why the action cannot run
   */
  check(resource: string): Promise<void>;
  /**
   * Runs the action and returns the response of its own route. Repeats the checks of `check`.
   * Must be idempotent: the call is repeated after a crash at any point.
   * @throws DomainError
   */
  run(request: ApprovedRequest): Promise<object>;
}

@Injectable()
export class ApprovableActions {
  readonly #acts = new Map<string, ApprovableAction>();

  register(action: AuditAction, act: ApprovableAction): void {
    if (this.#acts.has(action)) throw new TypeError(`two acts are called ${action}`);
    this.#acts.set(action, act);
  }

  of(action: string): ApprovableAction {
    const act = this.#acts.get(action);
    if (act === undefined) throw new TypeError(`nothing is registered as ${action}`);
    return act;
  }
}
