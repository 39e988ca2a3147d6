import { parseCreation } from './tus-headers';

const metadata = (entries: number): string =>
  ['filename YQ==', ...Array.from({ length: entries - 1 }, (_, at) => `k${at}`)].join();

describe('Upload-Metadata', () => {
  const headers = (entries: number) => ({ 'upload-length': '1', 'upload-metadata': metadata(entries) });

  it('may have 50 entries', () => expect(parseCreation(headers(50)).file.name).toBe('a'));

  it('of more is refused before its entries are decoded', () =>
    expect(() => parseCreation(headers(51))).toThrow('Upload-Metadata has more than 50 entries.'));
});
