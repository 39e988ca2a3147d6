import { Injectable } from '@nestjs/common';
import { AuditAction } from '../kernel';

/** What was approved, and by whom. */
export interface ApprovedRequest {
  readonly id: string;
  readonly resource: string;
  readonly requestedBy: string;
  readonly approvedBy: string;
}

/** An act that takes two administrators. The feature that owns it registers it; nothing here knows a feature. */
export interface ApprovableAction {
  /** Whether it could be done now, without doing it. Asked at the request and at the approval. @throws DomainError what stands against it. */
  check(resource: string): Promise<void>;
  /**
   * Does it, and gives what its own route would have answered. Looks again at what `check` looked at, and may be called again after a death at
   * any point: what has been done already is done. @throws DomainError
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
