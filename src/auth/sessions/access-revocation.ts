import { Injectable } from '@nestjs/common';
import { Challenges } from '../factors/challenges';
import { Sessions } from './sessions';

/**
 * Ends what an account's proofs have given out. Its row is marked before, so that a login on its
 * way finds the mark (TokenIssuer).
 */
@Injectable()
export class AccessRevocation {
  constructor(
    private readonly sessions: Sessions,
    private readonly challenges: Challenges,
  ) {}

  /** Logins that wait for their second factor, mailed codes, and all sessions but `keep`. */
  async endAll(userId: string, keep?: string): Promise<void> {
    await this.challenges.removeAll(userId);
    await this.sessions.endAll(userId, keep);
  }
}
