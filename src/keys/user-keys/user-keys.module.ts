import { Module } from '@nestjs/common';
import { Config, CONFIG } from '../../config';
import { SECOND } from '../../kernel';
import { BackupExposure } from './backup-exposure';
import { OrphanedKeys, OrphanedWraps, UserKeySweeper } from './cleanup';
import { KeyCache } from './key-cache';
import { UserKeyRewrap } from './rewrap';
import { Sealer } from './sealer';
import { UserKeyRotator } from './user-key-rotator';
import { UserKeyService } from './user-key-service';

// Some 600 bytes an owner: 32 MiB at most, and 50,000 active users without a call of Vault.
const CACHE_CAPACITY = 50_000;

@Module({
  providers: [
    {
      provide: KeyCache,
      inject: [CONFIG],
      useFactory: (config: Config) =>
        new KeyCache({ capacity: CACHE_CAPACITY, maxAgeMs: config.userKeys.cacheSeconds * SECOND }),
    },
    BackupExposure,
    OrphanedKeys,
    OrphanedWraps,
    UserKeyRewrap,
    UserKeyRotator,
    UserKeySweeper,
    Sealer,
    UserKeyService,
  ],
  exports: [
    BackupExposure,
    OrphanedKeys,
    Sealer,
    OrphanedWraps,
    UserKeyService,
    UserKeyRewrap,
    UserKeyRotator,
    UserKeySweeper,
    KeyCache,
  ],
})
export class UserKeysModule {}
