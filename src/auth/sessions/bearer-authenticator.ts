import { Injectable } from '@nestjs/common';
import { DomainError, isDomainError, Person, SessionAuthenticator } from '../../kernel';
import { BearerStrategy } from './bearer.strategy';

/** Implements the kernel's SessionAuthenticator with the passport strategy. */
@Injectable()
export class BearerAuthenticator extends SessionAuthenticator {
  constructor(private readonly strategy: BearerStrategy) {
    super();
  }

  authenticate(bearerToken: string): Promise<Person> {
    return new Promise((resolve, reject) => {
      // As passport does: one object for each request, which inherits the strategy and has its
      // three outcomes.
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
