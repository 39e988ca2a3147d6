import { login, newPerson, signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { useRealDeadlines } from '../support/settings';
import { totpCode } from '../support/totp';

useRealDeadlines();

describeWithPart('openbao', 'While Vault is sealed', () => {
  let bao: Bao;
  let service: Service;
  let client: Client;
  beforeAll(async () => {
    bao = await startOpenBao();
    const { address, roleId, secretId } = bao;
    const vault = { MASTER_KEY: 'transit', VAULT_ADDR: address, VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId };
    // Nothing is cached: each use of a key asks Vault.
    service = await startService({ env: { ...vault, KMS_CACHE_SECONDS: '0' } });
    client = new Client(service.url);
  }, 90_000);
  afterAll(async () => {
    await service.dispose();
    await bao.stop();
  });
  const unseal = async (): Promise<void> => {
    await bao.unseal();
    await waitFor('the service to have found Vault', async () => (await client.get('/readyz')).status === 200);
  };
  afterEach(unseal);

  it('a registration is refused, and its name is free again afterwards', async () => {
    const person = newPerson();
    await bao.seal();
    expectProblem(await client.post('/register', person), 503, 'kms_unavailable');
    const { username, password } = person;
    expectProblem(await client.post('/login', { username, password }), 401, 'login_failed');
    await unseal();
    expectStatus(await client.post('/register', person), 200);
    await login(client, person);
  });

  it('and does not even answer, a registration is refused in less than 2 seconds', async () => {
    const people = [newPerson(), newPerson(), newPerson()];
    const took: number[] = [];
    bao.pause();
    try {
      // One after the other: each is refused before Vault wakes. After three nobody waits any more.
      for (const person of people) {
        const begun = performance.now();
        expectProblem(await client.post('/register', person), 503, 'kms_unavailable');
        took.push(performance.now() - begun);
      }
    } finally {
      bao.resume();
    }
    // The quickest, for the sake of a machine that does other things as well.
    expect(Math.min(...took)).toBeLessThan(2000);
  });

  it('a login by password goes on, and so does its session', async () => {
    const { person } = await signUp(client);
    await bao.seal();
    const session = client.as((await login(client, person)).access_token);
    expectStatus(await session.get('/me'), 200);
    // From where the other session came is sealed.
    expectProblem(await session.get('/sessions'), 503, 'kms_unavailable');
    expect((await session.delete('/sessions')).status).toBe(204);
  });

  it('a TOTP code cannot be checked: the attempt is given back and nobody gets in', async () => {
    const { person, client: session } = await signUp(client);
    const { secret } = expectStatus(await session.post('/2fa/totp'), 200) as { secret: string };
    const enrol = totpCode(secret, Date.now(), -1);
    expectStatus(await session.post('/2fa/totp/confirm', { otp: enrol }), 204);
    const { username, mfa_token } = (await login(client, person)) as unknown as Record<string, string>;
    await bao.seal();
    for (let tries = 0; tries < 12; tries += 1) {
      const answer = await client.post('/verify-otp', { username, mfa_token, otp: totpCode(secret) });
      expectProblem(answer, 503, 'kms_unavailable');
    }
    await unseal();
    expectStatus(await client.post('/verify-otp', { username, mfa_token, otp: totpCode(secret) }), 200);
  });
});
