import { Injectable } from '@nestjs/common';
import { UserDataHandler } from '../kernel';
import { Links } from './links';

/** What happens to a user's links when the account goes. They hold nothing that is sealed or wrapped. */
@Injectable()
export class LinksUserData implements UserDataHandler {
  readonly name = 'links';

  constructor(private readonly links: Links) {}

  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  reencrypt(): Promise<number> {
    return Promise.resolve(0);
  }

  countByKeyVersion(_userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return Promise.resolve(versions.map(() => 0));
  }

  eraseUser(userId: string): Promise<number> {
    return this.links.eraseOwner(userId);
  }
}
