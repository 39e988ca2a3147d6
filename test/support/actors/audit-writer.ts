/**
 * A process that writes to the audit log of the store in argv[2] without end, with argv[3] acts at
 * a time: it prints the id of an act as soon as its intent has been acknowledged. A refusal is
 * printed as `refused <code>`.
 */
import { type Config } from '../../../src/config';
import { DomainError, newId, Readiness, SystemClock } from '../../../src/kernel';
import { ChainedAuditSink } from '../../../src/audit';
import { openAuthenticatedStore } from '../sealed-store';

const [, , folder = '', width = '8'] = process.argv;
const sink = new ChainedAuditSink(openAuthenticatedStore(folder).store, new SystemClock(), new Readiness(), {
  auditReads: true,
} as Config);

async function actWithoutEnd(): Promise<void> {
  for (;;) {
    const id = newId();
    try {
      const act = await sink.begin({ action: 'test.act', actor: 'actor', resource: id });
      process.stdout.write(`${id}\n`);
      act.close('done');
    } catch (error) {
      process.stdout.write(`refused ${error instanceof DomainError ? error.code : String(error)}\n`);
    }
  }
}

for (let n = 0; n < Number(width); n += 1) void actWithoutEnd();
