import { Injectable } from '@nestjs/common';
import { Role } from '../kernel';
import { Position } from '../store';
import { UserDoc, Users, isRegistered } from '../users';

export interface UserFilter {
  /** A part of user name or address, in any case. */
  readonly search: string | undefined;
  readonly role: Role | undefined;
  readonly state: 'active' | 'disabled' | undefined;
}

export interface FoundUsers {
  readonly users: readonly UserDoc[];
  readonly next: Position | undefined;
}

/**
 * Rows that one request reads at most: a search that finds little ends its page early, and goes on
 * with the next one.
 */
const MOST_READ = 1_000;
const BATCH = 100;

/** Accounts by user name. Those whose registration or erase has not ended are left out. */
@Injectable()
export class UserSearch {
  constructor(private readonly users: Users) {}

  async find(filter: UserFilter, limit: number, after: Position | undefined): Promise<FoundUsers> {
    const users: UserDoc[] = [];
    let next = after;
    for (let read = 0; read < MOST_READ; read += BATCH) {
      const page = await this.users.page({ limit: BATCH, ...(next === undefined ? {} : { after: next }) });
      users.push(...page.items.filter((user) => fits(user, filter)));
      const last = users[limit - 1];
      if (last !== undefined && users.length > limit) {
        return { users: users.slice(0, limit), next: this.users.positionBehind(last) };
      }
      next = page.next;
      if (next === undefined || users.length === limit) break;
    }
    return { users, next };
  }
}

function fits(user: UserDoc, filter: UserFilter): boolean {
  const { username, email, role, state } = user;
  if (!isRegistered(user)) return false;
  if (filter.role !== undefined && role !== filter.role) return false;
  if (filter.state !== undefined && state !== filter.state) return false;
  const text = filter.search?.toLowerCase();
  return text === undefined || username.includes(text) || email.toLowerCase().includes(text);
}
