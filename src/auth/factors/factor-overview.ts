import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { DomainError, Person } from '../../kernel';
import { Users } from '../../users';
import { factorsOf, FactorMethod, methodsOf } from './methods';
import { RecoveryCodes } from './recovery-codes';
import { TotpFactor } from './totp-factor';

export interface FactorState {
  readonly two_factor_enabled: boolean;
  readonly methods: FactorMethod[];
  readonly totp: { readonly enabled: boolean; readonly pending: boolean };
  readonly email: { readonly enabled: boolean; readonly required: boolean };
  readonly recovery_codes_left: number;
}

/** Implements GET /2fa. */
@Injectable()
export class FactorOverview {
  constructor(
    private readonly users: Users,
    private readonly totp: TotpFactor,
    private readonly recoveryCodes: RecoveryCodes,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async of(caller: Person): Promise<FactorState> {
    const user = await this.users.byId(caller.ownerId);
    if (user === undefined) throw new DomainError('invalid_session');
    const factors = factorsOf(user, this.config);
    const left = await this.recoveryCodes.left(user);
    return {
      two_factor_enabled: user.two_factor_enabled,
      methods: methodsOf(factors, left),
      totp: { enabled: factors.totp, pending: this.totp.isPending(user) },
      email: { enabled: user.email_factor, required: factors.email && !user.email_factor },
      recovery_codes_left: left,
    };
  }
}
