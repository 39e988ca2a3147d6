import { Injectable } from '@nestjs/common';
import { ListFiles } from '../files';
import { audited, AuditSink, Clock, DomainError, isoTime, Principal, Subject } from '../kernel';
import { SensitiveDataService } from '../sensitive-data';
import { Subjects } from '../service-accounts';
import { nameAct } from '../observability';

const PAGE = 200;

/** Reads pages until there is none; nothing is held of a page that went out. */
type ReadPage = (
  after: string | undefined,
) => Promise<{ readonly items: readonly object[]; readonly next: string | undefined }>;

/**
 * All that Coffer holds of a subject, for its backend: records in clear, and the metadata of its
 * files.
 */
@Injectable()
export class SubjectExport {
  constructor(
    private readonly subjects: Subjects,
    private readonly records: SensitiveDataService,
    private readonly files: ListFiles,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {}

  /**
   * JSON in pieces. What can be refused is refused before the first one; a later fault ends the
   * generator, and the response with it.
   * @throws DomainError `not_found`, `decryption_failed`, `kms_unavailable`
   */
  async *json(caller: Principal, externalId: string): AsyncGenerator<string, void> {
    const subject = await this.#subject(caller, externalId);
    const what = { action: 'subject.export', actor: caller.actor, resource: `subject/${subject.ownerId}` } as const;
    await audited(this.audit, what, () => Promise.resolve());
    const records = pieces((after) => this.#records(subject, after));
    const first = await records.next();
    const head = { subject: externalId, generated_at: isoTime(this.clock.now()) };
    yield `${JSON.stringify(head).slice(0, -1)},"records":[${first.value ?? ''}`;
    yield* records;
    yield '],"files":[';
    yield* pieces((after) => this.#files(subject, after));
    yield ']}';
  }

  async #subject(caller: Principal, externalId: string): Promise<Subject> {
    const row = await this.subjects.find(caller.ownerId, externalId);
    if (row === undefined || caller.kind !== 'service-account') {
      throw new DomainError('not_found', { detail: 'There is no such subject.' });
    }
    nameAct(caller.ownerId);
    const { authTime, requireStillAdmitted } = caller;
    const scopes = ['sensitive-data:read', 'files:read'] as const;
    return {
      kind: 'subject',
      ownerId: row._id,
      actor: row._id,
      act: caller.ownerId,
      scopes,
      authTime,
      requireStillAdmitted,
    };
  }

  async #records(subject: Subject, after: string | undefined) {
    const request = { dataType: undefined, view: 'clear', limit: PAGE, after } as const;
    const { records, next } = await this.records.list(subject, request);
    return { items: records, next };
  }

  async #files(subject: Subject, after: string | undefined) {
    const { files, next } = await this.files.list(subject, { limit: PAGE, after });
    return { items: files, next };
  }
}

/** The members of a JSON array, without its brackets. */
async function* pieces(read: ReadPage): AsyncGenerator<string, void> {
  let isFirst = true;
  for (let after: string | undefined; ;) {
    const { items, next } = await read(after);
    if (items.length > 0) {
      const members = items.map((item) => JSON.stringify(item)).join(',');
      yield isFirst ? members : `,${members}`;
      isFirst = false;
    }
    if (next === undefined) return;
    after = next;
  }
}
