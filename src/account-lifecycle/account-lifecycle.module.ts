import { DynamicModule, Module, ModuleMetadata, Type } from '@nestjs/common';
import { ApprovalsModule } from '../approvals';
import { UserDataHandler } from '../kernel';
import { UsersModule } from '../users';
import { AccountErasure } from './account-erasure';
import { AccountLifecycleController } from './account-lifecycle.controller';
import { AdministratorErase } from './administrator-erase';
import { BackendErasure } from './backend-erasure';
import { ServiceAccountRemovalController, SubjectErasureController } from './backends.controller';
import { ErasureRequest } from './erasure-request';
import { ERASED_USER_DATA, ErasureExecutor } from './erasure-executor';
import { Erasures } from './erasures';
import { Receipts } from './receipts';
import { SubjectExport } from './subject-export';

export interface AccountLifecycleOptions {
  /** The modules that export the handlers. */
  readonly imports: NonNullable<ModuleMetadata['imports']>;
  /** The handler of sessions must be first. */
  readonly handlers: readonly Type<UserDataHandler>[];
}

@Module({})
export class AccountLifecycleModule {
  static over({ imports, handlers }: AccountLifecycleOptions): DynamicModule {
    const owned = { provide: ERASED_USER_DATA, inject: [...handlers], useFactory: (...all: UserDataHandler[]) => all };
    return {
      module: AccountLifecycleModule,
      imports: [UsersModule, ApprovalsModule, ...imports],
      controllers: [AccountLifecycleController, ServiceAccountRemovalController, SubjectErasureController],
      providers: [
        owned,
        AccountErasure,
        AdministratorErase,
        ErasureRequest,
        ErasureExecutor,
        Erasures,
        Receipts,
        BackendErasure,
        SubjectExport,
      ],
      exports: [Receipts],
    };
  }
}
