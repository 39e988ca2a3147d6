import { Injectable, OnModuleInit } from '@nestjs/common';
import {
  type ApprovalDoc,
  type ApprovableAction,
  ApprovableActions,
  type ApprovedRequest,
  DualControl,
} from '../approvals';
import { DomainError, Person } from '../kernel';
import { AccountErasure } from './account-erasure';
import { ErasureRequest, isDecided } from './erasure-request';
import { Erasures } from './erasures';
import { Receipts, type SignedReceipt } from './receipts';

const ACTION = 'account.erase';
const RESOURCE = /^user\/(.+)$/s;

/**
 * An administrator's erasure of an account: immediate, or with TWO_PERSON after the approval of a
 * second administrator.
 */
@Injectable()
export class AdministratorErase implements ApprovableAction, OnModuleInit {
  constructor(
    private readonly erasure: AccountErasure,
    private readonly erasures: Erasures,
    private readonly decision: ErasureRequest,
    private readonly receipts: Receipts,
    private readonly acts: ApprovableActions,
    private readonly twoPerson: DualControl,
  ) {}

  onModuleInit(): void {
    this.acts.register(ACTION, this);
  }

  /**
   * Returns the receipt, or the approval that the erasure waits for.
   * @throws DomainError as AccountErasure
   */
  async request(caller: Person, accountId: string): Promise<SignedReceipt | { readonly asked: ApprovalDoc }> {
    const asked = (await this.#isFree(caller, accountId))
      ? undefined
      : await this.twoPerson.request(caller, ACTION, `user/${accountId}`);
    return asked === undefined ? this.receipts.issue(await this.erasure.erase(caller, accountId)) : { asked };
  }

  check(resource: string): Promise<void> {
    return this.decision.requireErasable(accountIn(resource));
  }

  async run(request: ApprovedRequest): Promise<SignedReceipt> {
    return this.receipts.issue(await this.erasure.eraseApproved(request, accountIn(request.resource)));
  }

  /**
   * True if no approval is needed: for the caller's own account (as DELETE /me), and for an erasure
   * that is already decided.
   */
  async #isFree(caller: Person, accountId: string): Promise<boolean> {
    if (caller.ownerId === accountId) return true;
    const erasure = await this.erasures.find(accountId);
    return erasure !== undefined && isDecided(erasure);
  }
}

/** @throws DomainError `not_found` */
function accountIn(resource: string): string {
  const [, accountId] = RESOURCE.exec(resource) ?? [];
  if (accountId === undefined) throw new DomainError('not_found');
  return accountId;
}
