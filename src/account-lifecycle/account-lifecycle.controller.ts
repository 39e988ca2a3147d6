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
   * Erases the caller's account: sessions, records, files, second factors, the user key, and
   * finally the account itself. It cannot be undone. The response is a signed receipt. The last
   * administrator cannot be erased.
   */
  @Delete('me')
  @Policy({ scope: 'account', stepUp: true })
  @ApiProblems('conflict')
  async eraseAccount(@CallerPerson() caller: Person): Promise<SignedReceiptDto> {
    return this.receipts.issue(await this.erasure.erase(caller, caller.ownerId));
  }

  /**
   * Erases an account as an administrator. A repeated call returns the receipt again, with the
   * current tier. With TWO_PERSON=true the response is 202 with an approval, and nothing is erased
   * until a second administrator approves. The caller's own account, and an erasure that has begun,
   * need no approval.
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
