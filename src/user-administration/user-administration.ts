import { Injectable } from '@nestjs/common';
import { AccessRevocation, Attempts } from '../auth';
import { audited, AuditAction, AuditSink, DomainError, Role } from '../kernel';
import { Administrators, UserDoc, Users, isRegistered } from '../users';

/**
 * What administrators, and operators at the command line, do with the accounts of others. `actor`
 * is whom the audit log names.
 */
@Injectable()
export class UserAdministration {
  constructor(
    private readonly users: Users,
    private readonly administrators: Administrators,
    private readonly attempts: Attempts,
    private readonly access: AccessRevocation,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Ends all that is open. The state holds for requests on their way; sessions of before do not
   * come back when it is enabled again.
   */
  disable(actor: string, id: string): Promise<void> {
    return this.#act('user.disable', actor, id, async () => {
      await this.administrators.change(id, (user) => ({ ...user, state: 'disabled' }));
      await this.access.endAll(id);
    });
  }

  enable(actor: string, id: string): Promise<void> {
    return this.#act('user.enable', actor, id, async () => {
      await this.administrators.change(id, (user) => ({ ...user, state: 'active' }));
    });
  }

  /** Forgets wrong passwords and codes. Open sessions keep their own counts. */
  unlock(actor: string, id: string): Promise<void> {
    return this.#act('user.unlock', actor, id, (user) => this.attempts.unlock(user));
  }

  endSessions(actor: string, id: string): Promise<void> {
    return this.#act('user.end-sessions', actor, id, () => this.access.endAll(id));
  }

  setRole(actor: string, id: string, role: Role): Promise<void> {
    const change = async (): Promise<void> => {
      await this.administrators.change(id, (user) => ({ ...user, role }));
    };
    return this.#act('user.role', actor, id, change, { role });
  }

  /** @throws DomainError `not_found`; what `act` throws. */
  #act(
    action: AuditAction,
    actor: string,
    id: string,
    act: (user: UserDoc) => Promise<void>,
    details: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    return audited(this.audit, { action, actor, resource: `user/${id}`, details }, async () => {
      const user = await this.users.byId(id);
      if (!isRegistered(user)) throw new DomainError('not_found');
      await act(user);
    });
  }
}
