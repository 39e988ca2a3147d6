import { Injectable } from '@nestjs/common';
import { Grants } from './grants/grants';
import { Links } from '../links';
import { Resource } from './resource';

/** What a resource leaves behind here when it is gone. */
@Injectable()
export class SharedResources {
  constructor(
    private readonly grants: Grants,
    private readonly links: Links,
  ) {}

  /** May be repeated. */
  async forget(resource: Pick<Resource, 'type' | 'id'>): Promise<void> {
    await this.grants.forget(resource);
    await this.links.forget(resource.id);
  }
}
