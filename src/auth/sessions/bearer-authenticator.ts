import { Injectable } from '@nestjs/common';
import { Authenticator, DomainError, isDomainError, Principal } from '../../kernel';
import { Users } from '../../users';
import { BearerStrategy } from './bearer.strategy';
import { Sessions } from './sessions';

/** The kernel's port on the passport strategy: what the gate in http/ asks for each request. */
@Injectable()
export class BearerAuthenticator extends Authenticator {
  constructor(
    private readonly strategy: BearerStrategy,
    private readonly sessions: Sessions,
    private readonly users: Users,
  ) {
    super();
  }

  async requireSession({ sessionId, userId }: Principal): Promise<void> {
    const [session, user] = await Promise.all([this.sessions.alive(sessionId), this.users.byId(userId)]);
    if (session?.user_id !== userId) throw new DomainError('invalid_session');
    if (user?.state === 'disabled') throw new DomainError('account_disabled');
    if (user?.state !== 'active') throw new DomainError('invalid_session');
  }

  authenticate(bearerToken: string): Promise<Principal> {
    return new Promise((resolve, reject) => {
      // As passport does it: one object a request, which inherits the strategy and has the three ways out.
      const attempt = Object.assign(Object.create(this.strategy) as BearerStrategy, {
        success: resolve,
        fail: () => reject(new DomainError('unauthenticated')),
        error: (fault: unknown) => reject(isDomainError(fault) ? fault : asError(fault)),
      });
      const request = { headers: { authorization: `Bearer ${bearerToken}` } };
      attempt.authenticate(request as Parameters<BearerStrategy['authenticate']>[0]);
    });
  }
}

const asError = (fault: unknown): Error => (fault instanceof Error ? fault : new Error('authentication failed'));
