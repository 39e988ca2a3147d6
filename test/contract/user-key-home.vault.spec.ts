import { Logger } from '@nestjs/common';
import { openUserKeyHome } from '../support/kv';
import { describeWithPart, startOpenBao } from '../support/parts';
import { userKeyHomeContract } from './user-key-home.contract';

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeWithPart('openbao', 'the shipped policy in a real OpenBao', () => {
  userKeyHomeContract('in documents of Vault', async () => {
    const bao = await startOpenBao();
    return { open: () => openUserKeyHome(bao), close: () => bao.stop() };
  });
});
