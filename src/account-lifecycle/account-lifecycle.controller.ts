import { Controller, Delete, Param, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { answerApproval, ApprovalAnswerDto } from '../approvals';
import { ApiProblems, CallerPerson, Policy } from '../http';
import type { Person } from '../kernel';
import { SignedReceiptDto } from './account-lifecycle.dto';
import { AccountErasure } from './account-erasure';
import { AdministratorErase } from './administrator-erase';
import { Receipts } from './receipts';

@ApiTags('Account')
@ApiBearerAuth()
@Controller()
export class AccountLifecycleController {
  constructor(
    private readonly erasure: AccountErasure,
    private readonly receipts: Receipts,
    private readonly administrators: AdministratorErase,
  ) {}

  /**
   * Erases the caller's account: sessions, records, files, second factors, the key that all of it was sealed under, and at last the account
   * itself. It cannot be undone. The answer is a signed receipt. The last administrator cannot go.
   */
  @Delete('me')
  @Policy({ scope: 'account', stepUp: true })
  @ApiProblems('conflict')
  async eraseAccount(@CallerPerson() caller: Person): Promise<SignedReceiptDto> {
    return this.receipts.issue(await this.erasure.erase(caller, caller.ownerId));
  }

  /**
   * Erases an account, as its owner could. Repeated, it gives the receipt once more, with the tier that holds by then. With TWO_PERSON=true
   * nothing happens until a second administrator approves it: 202 with the approval. One's own account, and an erase that was decided, need
   * nobody else.
   */
  @Delete('users/:id')
  @Policy({ scope: 'administration', stepUp: true })
  @ApiOkResponse({ type: SignedReceiptDto })
  @ApiAcceptedResponse({
    type: ApprovalAnswerDto,
    description: 'TWO_PERSON=true: what now waits for a second administrator',
    headers: { Location: { description: 'The address of the approval', schema: { type: 'string' } } },
  })
  @ApiProblems('not_found', 'conflict')
  async eraseUser(
    @CallerPerson() caller: Person,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignedReceiptDto | ApprovalAnswerDto> {
    const outcome = await this.administrators.request(caller, id);
    return 'asked' in outcome ? answerApproval(reply, outcome.asked) : outcome;
  }
}
