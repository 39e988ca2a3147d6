import { Injectable } from '@nestjs/common';
import {
  audited,
  AuditAction,
  AuditIntent,
  AuditSink,
  DomainError,
  isDomainError,
  notedIfRefused,
  Person,
  retryOnStaleKey,
  StaleKeyVersionError,
} from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { Position } from '../../store';
import { Users } from '../../users';
import { RefreshTokens } from './refresh-tokens';
import { ClientInfo, openClient } from './session-client';
import { SessionDoc } from './session.collection';
import { Sessions } from './sessions';
import { TokenIssuer, TokenPair } from './token-issuer';

export interface ListedSession {
  readonly session: SessionDoc;
  /** Undefined if unknown. */
  readonly client: ClientInfo | undefined;
}

/** A user's actions on sessions. */
@Injectable()
export class SessionManagement {
  constructor(
    private readonly sessions: Sessions,
    private readonly refreshTokens: RefreshTokens,
    private readonly issuer: TokenIssuer,
    private readonly users: Users,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
  ) {}

  /** @throws DomainError `invalid_session`, `account_disabled` */
  async refresh(refreshToken: string): Promise<TokenPair> {
    const session = await this.refreshTokens.redeem(refreshToken);
    const what = { action: 'session.refresh', actor: session.user_id, resource: `session/${session._id}` } as const;
    await notedIfRefused(this.audit, what, () => this.#requireActive(session.user_id));
    return this.issuer.issue(session);
  }

  async #requireActive(userId: string): Promise<void> {
    const user = await this.users.byId(userId);
    if (user === undefined || user.state === 'erasing') throw new DomainError('invalid_session');
    if (user.state === 'disabled') throw new DomainError('account_disabled');
  }

  /** Lists sessions, oldest first. */
  list(caller: Person, limit: number, after: Position | undefined) {
    return retryOnStaleKey(async () => {
      const page = await this.sessions.list(caller.ownerId, { limit, ...(after === undefined ? {} : { after }) });
      const open = page.items.filter((session) => this.sessions.isAlive(session));
      const sealed = open.some(({ client }) => client !== undefined);
      const listed = sealed
        ? await this.sealer.with(caller.ownerId, (keys) => open.map((session) => opened(keys, session)))
        : open.map((session) => ({ session, client: undefined }));
      return { sessions: listed, next: page.next };
    });
  }

  logout(caller: Person): Promise<void> {
    return audited(this.audit, intent('session.logout', caller, caller.sessionId), async () => {
      await this.sessions.end(caller.sessionId);
    });
  }

  /** @throws DomainError `not_found`, also for a session of another user */
  async end(caller: Person, id: string): Promise<void> {
    const session = await this.sessions.alive(id);
    if (session?.user_id !== caller.ownerId) throw new DomainError('not_found');
    await audited(this.audit, intent('session.end', caller, id), () => this.sessions.end(id));
  }

  async endOthers(caller: Person): Promise<void> {
    await audited(this.audit, intent('session.end-others', caller, caller.sessionId), () =>
      this.sessions.endAll(caller.ownerId, caller.sessionId),
    );
  }
}

function opened(keys: OwnerKeys, session: SessionDoc): ListedSession {
  try {
    const client = session.client === undefined ? undefined : openClient(keys, session._id, session.client);
    return { session, client };
  } catch (error) {
    // Lists the session without its client, so that it can still be ended if its client cannot be
    // decrypted.
    if (isDomainError(error, 'decryption_failed') && !(error instanceof StaleKeyVersionError))
      return { session, client: undefined };
    throw error;
  }
}

const intent = (action: AuditAction, caller: Person, sessionId: string): AuditIntent => ({
  action,
  actor: caller.actor,
  resource: `session/${sessionId}`,
});
