import { defineCollection, digest, Doc, encrypted, plain, requireHandlers } from '.';
import { StartupError, UserDataHandler } from '../kernel';

interface NoteDoc extends Doc {
  readonly owner_id: string;
  readonly text: string;
  readonly key_version: number;
}

const notes = defineCollection<NoteDoc>({
  name: 'notes',
  fields: { owner_id: plain.string, text: encrypted.string, key_version: plain.number },
  owner: 'owner_id',
  keyVersions: ['key_version'],
  tampered: 'refuse',
});
const hashes = defineCollection<NoteDoc>({
  name: 'hashes',
  fields: { owner_id: plain.string, text: digest.string, key_version: plain.number },
  tampered: 'refuse',
});

const claiming = (...collections: string[]): UserDataHandler => ({ collections }) as unknown as UserDataHandler;

describe('A collection with encrypted fields', () => {
  it('says so in its definition, beside its owner and key versions', () => {
    expect(notes).toMatchObject({ encrypted: ['text'], plaintext: ['owner_id', 'key_version'], owner: 'owner_id' });
    expect(notes.fields).toEqual({ owner_id: 'string', text: 'string', key_version: 'number' });
  });

  it('names the owner of its rows', () => {
    const fields = { owner_id: plain.string, text: encrypted.string, key_version: plain.number };
    const define = () => defineCollection<NoteDoc>({ name: 'notes', fields, tampered: 'refuse' });
    expect(define).toThrow('notes has encrypted fields and names no owner');
  });

  it('stops the start where no handler claims it', () => {
    const start = () => requireHandlers([notes, hashes] as never, [claiming('other'), claiming()]);
    expect(start).toThrow(StartupError);
    expect(start).toThrow('No handler of user data claims the collection notes, which has encrypted fields.');
  });

  it('lets the start go on where a handler claims it, and one without such fields needs none', () => {
    expect(() => requireHandlers([notes, hashes] as never, [claiming(), claiming('notes')])).not.toThrow();
  });

  it('stops the start where a handler claims what is not there', () => {
    expect(() => requireHandlers([notes] as never, [claiming('notes', 'memos')])).toThrow('claims memos');
  });
});
