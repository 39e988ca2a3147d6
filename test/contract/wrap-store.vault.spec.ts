import { Logger } from '@nestjs/common';
import { openWrapStore } from '../support/kv';
import { describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { userKeyHomeContract } from './wrap-store.contract';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeWithPart('openbao', 'the shipped policy in a real OpenBao', () => {
  userKeyHomeContract('in documents of Vault', async () => {
    const bao = await startOpenBao();
    return { open: () => openWrapStore(bao), close: () => bao.stop() };
  });
});
