import { Injectable } from '@nestjs/common';
import type { UserDataHandler } from '../../kernel';

/** The houses that hold data of users. app.module, which knows the features, hands them in before any job runs. */
@Injectable()
export class UserDataHandlers {
  #houses: readonly UserDataHandler[] = [];

  connect(houses: readonly UserDataHandler[]): void {
    this.#houses = houses;
  }

  /** @throws TypeError where none is connected: a rotation without them would drop keys that are in use. */
  get all(): readonly UserDataHandler[] {
    if (this.#houses.length === 0) throw new TypeError('no house with data of users is connected');
    return this.#houses;
  }
}
