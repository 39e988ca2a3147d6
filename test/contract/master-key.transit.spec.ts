import { describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { openTransit } from '../support/transit';
import { masterKeyContract } from './master-key.contract';

useRealDeadlines();

describeWithPart('openbao', 'the shipped policy in a real OpenBao', () => {
  masterKeyContract('Transit', async () => {
    const bao = await startOpenBao();
    return { open: () => openTransit(bao), close: () => bao.stop() };
  });
});
