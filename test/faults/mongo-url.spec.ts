import { newId, StartupError } from '../../src/kernel';
import { MongoStore } from '../../src/store/mongo';
import { refuseOtherGuarantees } from '../../src/store/mongo/mongo-url';
import { startMongoProxy } from '../support/mongo-proxy';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { waitFor } from '../support/processes';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const withOptions = (query: string): string => `mongodb://user:sec?ret@one:27017,two:27017/db?replicaSet=rs&${query}`;

describe('MONGODB_URL', () => {
  it.each([
    ['readConcernLevel', 'readConcernLevel=local'],
    ['READCONCERNLEVEL', 'READCONCERNLEVEL=available'],
    ['journal', 'journal=false'],
    ['j', 'j=false'],
    ['w', 'w=1'],
    ['w', '%77=0'],
    ['w', 'w=majority&w=1'],
    ['wtimeoutMS', 'wtimeoutMS=1'],
    ['readPreference', 'readPreference=secondaryPreferred'],
    ['readPreferenceTags', 'readPreferenceTags=dc:east'],
    ['maxStalenessSeconds', 'maxStalenessSeconds=120'],
    ['retryWrites', 'retryWrites=false'],
    ['timeoutMS', 'timeoutMS=50'],
    ['promoteValues', 'promoteValues=false'],
  ])('with the option %s (%s) is refused by a line that names it and no value', (name, query) => {
    const refusal = (): void => refuseOtherGuarantees(withOptions(query));
    expect(refusal).toThrow(StartupError);
    expect(refusal).toThrow(`MONGODB_URL has the option ${name},`);
    expect(refusal).not.toThrow(/sec\?ret|one:27017|false|local|dc:east/);
  });

  it.each([
    'retryWrites=true&w=majority',
    'journal=true&readConcernLevel=majority&readPreference=primary',
    'tls=true',
    '',
  ])('with %s is as it should be', (query) => {
    refuseOtherGuarantees(withOptions(query));
    refuseOtherGuarantees('mongodb+srv://user:p%3Fw=1@host');
  });
});

describeWithPart('secantus', 'A store on MongoDB', () => {
  let secantus: Secantus;
  beforeAll(async () => {
    secantus = await startSecantus();
  });
  afterAll(() => secantus.stop());

  const open = (url: string): MongoStore => new MongoStore({ url, dbName: `url-${newId().slice(0, 8)}` });

  it.each(['readConcernLevel=local', 'journal=false', 'w=1'])('is refused with %s', async (option) => {
    const store = open(`${secantus.url}&${option}`);
    await expect(store.ping()).rejects.toThrow(StartupError);
    await store.close();
  });

  it('is refused where directConnection names a secondary', async () => {
    const members = [await startMongoProxy(secantus.port), await startMongoProxy(secantus.port)];
    for (const member of members) member.members = members;
    members[1]!.role = 'secondary';
    const store = open(members[1]!.url);
    await expect(store.ping()).rejects.toThrow('directConnection');
    await store.close();
    await Promise.all(members.map((member) => member.close()));
  });

  it('does not read from a server that steps down under directConnection, and goes on when it is back', async () => {
    const member = await startMongoProxy(secantus.port);
    const store = open(member.url);
    await store.ping();
    member.role = 'secondary';
    const isDown = (): Promise<boolean> => store.ping().then(...([() => false, () => true] as const));
    await waitFor('the store to be unavailable', async () => (await isDown()) || undefined);
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    member.role = 'primary';
    await waitFor('the store to serve', async () => !(await isDown()) || undefined);
    await store.close();
    await member.close();
  });

  it('waits for a single member that is not the primary yet', async () => {
    const member = await startMongoProxy(secantus.port);
    member.role = 'secondary';
    const store = open(member.url);
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    member.role = 'primary';
    await waitFor('the store to serve', () => store.ping().then(...([() => true, () => undefined] as const)));
    await store.close();
    await member.close();
  });
});
