import { describeWithPart, startOpenBao, startSecantus } from './parts';
import { accepts } from './processes';

describeWithPart('openbao', 'The OpenBao of the tests', () => {
  it('serves Transit to the AppRole of the shipped policy, refuses when sealed, and keeps its data over a kill', async () => {
    const bao = await startOpenBao();
    try {
      const login = { role_id: bao.roleId, secret_id: bao.secretId };
      const { auth } = await bao.request<{ auth: { client_token: string } }>('POST', 'auth/approle/login', login);
      await bao.seal();
      await expect(bao.request('GET', 'transit/keys/coffer-master')).rejects.toThrow('503');
      await bao.unseal();
      await bao.kill();
      await bao.restart();
      const key = await bao.request('GET', 'transit/keys/coffer-master', undefined, auth.client_token);
      expect(key.data).toMatchObject({ latest_version: 1, derived: true });
    } finally {
      await bao.stop();
    }
  });
});

describeWithPart('secantus', 'The SecantusDB of the tests', () => {
  it('listens on the same port again after a kill', async () => {
    const server = await startSecantus();
    try {
      await server.kill();
      expect(await accepts(server.port)).toBe(false);
      await server.restart();
      expect(await accepts(server.port)).toBe(true);
    } finally {
      await server.stop();
    }
  });
});
