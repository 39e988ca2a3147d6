import { DomainError, SystemSecrets } from '../kernel';
import { Collection, KeyPart, ListOptions, Page, Position, Store } from './collection';
import { CollectionDefinition, Doc, Draft } from './definition';
import { firstRevision } from './first-revision';
import { RowMac, authenticatedDefinition, AuthenticatedRow } from './row-mac';
import { PRIMARY, ResolvedIndex, RowShape } from './row-shape';

export type TamperedRowHook = (collection: string, id: string) => void;

/**
 * A collection whose rows carry MACs. A writer to the database can remove a row or restore an older
 * one, but cannot create, change or swap rows.
 * `count` does not verify rows, so no permission may depend on a count.
 */
export class AuthenticatedCollection<T extends Doc> implements Collection<T> {
  readonly #shape: RowShape<T>;
  readonly #seal: RowMac<T>;
  readonly #rows: Collection<AuthenticatedRow>;

  constructor(
    readonly definition: CollectionDefinition<T>,
    engine: Store,
    secrets: SystemSecrets,
    private readonly onForgedRow: TamperedRowHook,
  ) {
    this.#shape = new RowShape(definition);
    this.#seal = new RowMac(this.#shape, secrets);
    this.#rows = engine.collection(authenticatedDefinition(this.#shape));
  }

  async insert(draft: Draft<T>, rev = firstRevision(this.definition)): Promise<T> {
    return this.#restore(await this.#rows.insert(this.#sealed(draft, rev), rev));
  }

  async find(index: string, ...key: KeyPart[]): Promise<T | undefined> {
    const place = this.#shape.index(index);
    const parts = this.#shape.key(place, key, true);
    return this.#checked(await this.#rows.find(index, ...parts), place, parts);
  }

  async findLinearizable(id: string): Promise<T | undefined> {
    const place = this.#shape.index(PRIMARY);
    return this.#checked(await this.#rows.findLinearizable(id), place, this.#shape.key(place, [id], true));
  }

  async list(index: string, prefix: readonly KeyPart[], options: ListOptions): Promise<Page<T>> {
    const parts = this.#shape.key(this.#shape.index(index), prefix, false);
    return this.#verified(await this.#rows.list(index, parts, options), index, parts, options);
  }

  async scan(index: string, prefix: readonly KeyPart[], options: Omit<ListOptions, 'reverse'>): Promise<Page<T>> {
    const parts = this.#shape.key(this.#shape.index(index), prefix, false);
    return this.#verified(await this.#rows.scan(index, parts, options), index, parts, options);
  }

  #verified(page: Page<AuthenticatedRow>, index: string, parts: readonly KeyPart[], options: ListOptions): Page<T> {
    const place = this.#shape.index(index);
    const items: T[] = [];
    for (const row of page.items) {
      if (this.#answers(row, place, parts)) items.push(this.#restore(row));
      else this.#skip(row, options);
    }
    return { items, next: page.next };
  }

  async count(index: string, prefix: readonly KeyPart[], limit?: number): Promise<number> {
    return this.#rows.count(index, prefix, limit);
  }

  position(index: string, length: number, doc: T): Position {
    return this.#rows.position(index, length, this.#shape.flatten(doc, doc.rev) as unknown as AuthenticatedRow);
  }

  async replace(doc: T): Promise<T | undefined> {
    const stored = await this.#rows.replace(this.#successor(doc));
    return stored && this.#restore(stored);
  }

  async replaceMany(docs: readonly T[]): Promise<number> {
    return this.#rows.replaceMany(docs.map((doc) => this.#successor(doc)));
  }

  async remove(id: string, rev?: number): Promise<boolean> {
    return this.#rows.remove(id, rev);
  }

  #checked(row: AuthenticatedRow | undefined, place: ResolvedIndex, parts: readonly KeyPart[]): T | undefined {
    if (row === undefined) return undefined;
    if (this.#answers(row, place, parts)) return this.#restore(row);
    this.#report(row);
    if (this.definition.tampered === 'refuse') throw forged();
    return undefined;
  }

  #sealed(doc: Draft<T>, rev: number): AuthenticatedRow {
    return this.#seal.seal(this.#shape.flatten(doc, rev));
  }

  /**
   * The row to store if `doc.rev` still matches: it carries the revision that was read, and the MAC
   * of the next one.
   */
  #successor(doc: T): AuthenticatedRow {
    return { ...this.#sealed(doc, doc.rev + 1), rev: doc.rev };
  }

  /**
   * True if the MAC is valid and the row matches the query: an authentic row under another row's
   * key counts as tampered.
   */
  #answers(row: AuthenticatedRow, index: ResolvedIndex, key: readonly KeyPart[]): boolean {
    return this.#seal.holds(row) && key.every((part, at) => row[index.fields[at] ?? PRIMARY] === part);
  }

  /** Only after the MAC verified, so that `json` text is trusted. */
  #restore(row: AuthenticatedRow): T {
    return this.#shape.restore(row);
  }

  #skip(row: AuthenticatedRow, { onTampered }: ListOptions): void {
    this.#report(row);
    if (onTampered !== undefined) onTampered(nameOf(row));
    else if (this.definition.tampered === 'refuse') throw forged();
  }

  #report(row: AuthenticatedRow): void {
    this.onForgedRow(this.definition.name, nameOf(row));
  }
}

const forged = (): DomainError =>
  new DomainError('integrity_failed', { detail: 'MAC verification of a stored row failed.' });

/** A tampered row may have any value as its id. */
const nameOf = (row: { readonly _id: unknown }): string => (typeof row._id === 'string' ? row._id : '');
