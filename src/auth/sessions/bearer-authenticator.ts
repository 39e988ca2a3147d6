import { Injectable } from '@nestjs/common';
import { Authenticator, DomainError, isDomainError, Person } from '../../kernel';
import { BearerStrategy } from './bearer.strategy';

/** The kernel's port on the passport strategy: what the gate in http/ asks for each request. */
@Injectable()
export class BearerAuthenticator extends Authenticator {
  constructor(private readonly strategy: BearerStrategy) {
    super();
  }

  authenticate(bearerToken: string): Promise<Person> {
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
