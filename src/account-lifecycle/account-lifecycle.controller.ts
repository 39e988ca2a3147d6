import { Controller, Delete, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, Policy } from '../http';
import type { Principal } from '../kernel';
import { SignedReceiptDto } from './account-lifecycle.dto';
import { AccountErasure } from './account-erasure';
import { Receipts } from './receipts';

@ApiTags('Account')
@ApiBearerAuth()
@Controller()
export class AccountLifecycleController {
  constructor(
    private readonly erasure: AccountErasure,
    private readonly receipts: Receipts,
  ) {}

  /**
   * Erases the caller's account: sessions, records, files, second factors, the key that all of it was sealed under, and at last the account
   * itself. It cannot be undone. The answer is a signed receipt. The last administrator cannot go.
   */
  @Delete('me')
  @Policy({ access: 'user', stepUp: true })
  @ApiProblems('conflict')
  eraseOwn(@Caller() caller: Principal): Promise<SignedReceiptDto> {
    return this.#erase(caller, caller.userId);
  }

  /** Erases an account, as its owner could. Repeated, it gives the receipt once more, with the tier that holds by then. */
  @Delete('users/:id')
  @Policy({ access: 'administrator', stepUp: true })
  @ApiProblems('not_found', 'conflict')
  erase(@Caller() caller: Principal, @Param('id') id: string): Promise<SignedReceiptDto> {
    return this.#erase(caller, id);
  }

  async #erase(caller: Principal, accountId: string): Promise<SignedReceiptDto> {
    return this.receipts.issue(await this.erasure.erase(caller, accountId));
  }
}
