import type { CollectionDefinition, Doc } from '../../src/store';
import { Environment } from '../../src/store/embedded/environment';
import { endOf } from '../../src/store/embedded/key-encoding';
import { Layout } from '../../src/store/embedded/layout';
import { RowShape } from '../../src/store/row-shape';

/**
 * Empties an index of the embedded store and leaves the rows, as another release did at its start.
 */
export async function loseIndex<T extends Doc>(
  folder: string,
  definition: CollectionDefinition<T>,
  index: string,
): Promise<void> {
  const environment = new Environment(folder);
  const base = new Layout(new RowShape(definition)).slot(index);
  await environment.write(() => {
    const { rows } = environment;
    for (const key of [...rows.getKeys({ start: base, end: endOf(base) })]) void rows.remove(key);
  });
  await environment.close();
}
