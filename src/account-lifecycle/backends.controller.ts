import { Controller, Delete, Get, HttpCode, HttpStatus, Param, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { ApiProblems, Caller, CallerPerson, Policy } from '../http';
import { DomainError, type Person, type Principal } from '../kernel';
import { externalId } from '../service-accounts';
import { SignedReceiptDto, SubjectExportDto } from './account-lifecycle.dto';
import { BackendErasure } from './backend-erasure';
import { SubjectExport } from './subject-export';

@ApiTags('Subjects')
@ApiBearerAuth()
@Controller('subjects')
export class SubjectErasureController {
  constructor(
    private readonly erasure: BackendErasure,
    private readonly exports: SubjectExport,
  ) {}

  /**
   * All that is held of a subject: its records in clear and the metadata of its files. The response
   * streams; where something cannot be read any more the connection breaks, and the JSON has no
   * end.
   */
  @Get(':externalId/export')
  @Policy({ scope: 'subjects:export' })
  @ApiOkResponse({ type: SubjectExportDto })
  @ApiProblems('insufficient_scope', 'not_found', 'integrity_failed', 'decryption_failed')
  async exportSubject(
    @Caller() caller: Principal,
    @Param('externalId') id: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const json = this.exports.json(caller, requireExternalId(id));
    // Until here a refusal is still a response of its own.
    const first = await json.next();
    const whole = async function* (): AsyncGenerator<string, void> {
      if (first.done !== true) yield first.value;
      yield* json;
    };
    await reply.type('application/json; charset=utf-8').send(Readable.from(whole()));
  }

  /**
   * Erases a subject: its records and files, the key that all of it was sealed under, and the
   * subject itself. It cannot be undone. The answer is a signed receipt. A later write for the same
   * external id makes a new subject.
   */
  @Delete(':externalId')
  @Policy({ scope: 'subjects:erase', stepUp: true })
  @ApiProblems('insufficient_scope', 'not_found', 'conflict')
  eraseSubject(@Caller() caller: Principal, @Param('externalId') id: string): Promise<SignedReceiptDto> {
    return this.erasure.eraseSubject(caller, requireExternalId(id));
  }
}

@ApiTags('Service accounts')
@ApiBearerAuth()
@Controller('service-accounts')
export class ServiceAccountRemovalController {
  constructor(private readonly erasure: BackendErasure) {}

  /**
   * Removes a service account with its keys and its own data. One that has subjects stays: erase
   * them first.
   */
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Policy({ scope: 'administration', stepUp: true })
  @ApiProblems('not_found', 'conflict')
  deleteServiceAccount(@CallerPerson() caller: Person, @Param('id') id: string): Promise<void> {
    return this.erasure.removeAccount(caller, id);
  }
}

/** @throws DomainError `not_found` for what no subject is called. */
function requireExternalId(text: string): string {
  const id = externalId(text);
  if (id === undefined) throw new DomainError('not_found', { detail: 'There is no such subject.' });
  return id;
}
