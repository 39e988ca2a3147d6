import { DynamicModule, Module, ModuleMetadata, Type } from '@nestjs/common';
import { ApprovalsModule } from '../approvals';
import { UserOwned } from '../kernel';
import { UsersModule } from '../users';
import { AccountErasure } from './account-erasure';
import { AccountLifecycleController } from './account-lifecycle.controller';
import { AdministratorErase } from './administrator-erase';
import { EraseDecision } from './erase-decision';
import { ERASED_HOUSES, ErasureRun } from './erasure-run';
import { Erasures } from './erasures';
import { Receipts } from './receipts';

export interface OwnedHouses {
  /** The modules that export the houses. */
  readonly imports: NonNullable<ModuleMetadata['imports']>;
  /** Sessions first. */
  readonly houses: readonly Type<UserOwned>[];
}

@Module({})
export class AccountLifecycleModule {
  static over({ imports, houses }: OwnedHouses): DynamicModule {
    const owned = { provide: ERASED_HOUSES, inject: [...houses], useFactory: (...all: UserOwned[]) => all };
    return {
      module: AccountLifecycleModule,
      imports: [UsersModule, ApprovalsModule, ...imports],
      controllers: [AccountLifecycleController],
      providers: [owned, AccountErasure, AdministratorErase, EraseDecision, ErasureRun, Erasures, Receipts],
      exports: [Receipts],
    };
  }
}
