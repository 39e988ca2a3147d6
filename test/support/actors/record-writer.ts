/**
 * A process that makes argv[4] records of 10 bytes for the owner argv[3], in the installation in
 * argv[2], 16 at a time, with a quota of argv[5] bytes; it dies at the crash point argv[6]. Prints
 * `made <how many> refused <codes of the others>` at the end.
 */
import { armFailpoint, DomainError, SystemClock } from '../../../src/kernel';
import { RecordCount } from '../../../src/sensitive-data/record-count';
import { SensitiveDataService } from '../../../src/sensitive-data/sensitive-data.service';
import { openKeyFixture } from '../key-fixture';
import { person } from '../person';
import { usageParts } from '../usage';

const [, , folder = '', owner = '', count = '100', quota = '', point] = process.argv;

async function main(): Promise<void> {
  const fixture = await openKeyFixture(folder);
  const [, usage] = usageParts(fixture.store, { userQuota: Number(quota) });
  new RecordCount(fixture.store, usage).onModuleInit();
  const records = new SensitiveDataService(fixture.store, fixture.sealer, fixture.audit, new SystemClock(), usage);
  const refused = new Set<string>();
  let begun = 0;
  let made = 0;
  const writer = async (): Promise<void> => {
    while (begun < Number(count)) {
      begun += 1;
      try {
        await records.create(person(owner), { dataType: 'note', value: '0123456789' });
        made += 1;
      } catch (error) {
        refused.add(error instanceof DomainError ? error.code : String(error));
      }
    }
  };
  armFailpoint(point);
  await Promise.all(Array.from({ length: 16 }, writer));
  process.stdout.write(`made ${made} refused ${[...refused].join(',') || 'none'}\n`);
  await fixture.close();
}

void main();
