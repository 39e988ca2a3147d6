import { Injectable } from '@nestjs/common';
import type { UserDataHandler } from '../../kernel';

/** The handlers of the data of users. app.module, which knows the features, hands them in before any job runs. */
@Injectable()
export class UserDataHandlers {
  #handlers: readonly UserDataHandler[] = [];

  connect(handlers: readonly UserDataHandler[]): void {
    this.#handlers = handlers;
  }

  /** @throws TypeError where none is connected: a rotation without them would drop keys that are in use. */
  get all(): readonly UserDataHandler[] {
    if (this.#handlers.length === 0) throw new TypeError('no handler with data of users is connected');
    return this.#handlers;
  }
}
