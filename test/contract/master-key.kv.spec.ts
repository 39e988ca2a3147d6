import { openKv } from '../support/kv';
import { describeWithPart, startOpenBao } from '../support/parts';
import { masterKeyContract } from './master-key.contract';

describeWithPart('openbao', 'the shipped policy in a real OpenBao', () => {
  masterKeyContract('a KV document', async () => {
    const bao = await startOpenBao();
    return { open: () => openKv(bao), close: () => bao.stop() };
  });
});
