import { StartupError, UserDataHandler } from '../kernel';
import { CollectionDefinition, Doc } from './definition';

/**
 * A rotation of a user key drops the versions that no handler counts. So each collection with
 * encrypted fields has a handler, or what it holds is lost at the next rotation.
 * @throws StartupError where one has none, and for a claim of a collection that is not there.
 */
export function requireHandlers(
  definitions: readonly CollectionDefinition<Doc>[],
  handlers: readonly UserDataHandler[],
): void {
  const claimed = handlers.flatMap(({ collections }) => collections);
  const isEncrypted = ({ encrypted }: CollectionDefinition<Doc>): boolean => encrypted.length > 0;
  const names = definitions.filter(isEncrypted).map(({ name }) => name);
  const forgotten = names.find((name) => !claimed.includes(name));
  if (forgotten !== undefined) {
    throw new StartupError(`No handler of user data claims the collection ${forgotten}, which has encrypted fields.`);
  }
  const unknown = claimed.find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new StartupError(`A handler of user data claims ${unknown}, which is no collection with encrypted fields.`);
}
