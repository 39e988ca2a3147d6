import { DuplicateKey } from '../../store';
import { MongoConnection } from '../../store/mongo';
import { OwnerMark } from '../owner';

/** Beside the bucket, and in each dump of it. */
const MARKS = 'blobs.marks';

interface MarkDocument {
  readonly _id: string;
  readonly text: string;
}

/** A mark as a document. */
export class OwnerDocument implements OwnerMark {
  constructor(
    private readonly connection: MongoConnection,
    private readonly name: string,
  ) {}

  async read(): Promise<string | undefined> {
    const find = (): Promise<MarkDocument | null> =>
      this.connection.documents<MarkDocument>(MARKS).findOne({ _id: { $eq: this.name } });
    return (await this.connection.run(find, MARKS))?.text;
  }

  async claim(text: string): Promise<void> {
    const insert = (): Promise<unknown> =>
      this.connection.documents<MarkDocument>(MARKS).insertOne({ _id: this.name, text });
    await this.connection.run(insert, MARKS).catch((error: unknown) => {
      if (!(error instanceof DuplicateKey)) throw error;
    });
  }
}
