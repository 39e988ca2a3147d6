import { lacksFolderSync } from './folder-sync';

const fault = (code: string): Error => Object.assign(new Error(code), { code });

describe('An fsync of a folder', () => {
  it.each(['EPERM', 'EISDIR', 'EACCES', 'EINVAL'])('that Windows answers %s is passed over there', (code) =>
    expect(lacksFolderSync(fault(code), 'win32')).toBe(true),
  );

  it.each(['EINVAL', 'ENOTSUP', 'ENOSYS'])('that a file system answers %s is passed over everywhere', (code) =>
    expect(lacksFolderSync(fault(code), 'linux')).toBe(true),
  );

  it.each([
    ['EPERM', 'linux'],
    ['EACCES', 'linux'],
    ['EISDIR', 'darwin'],
    ['EIO', 'win32'],
    ['ENOSPC', 'win32'],
    ['ENOENT', 'win32'],
  ] as const)('that failed with %s on %s did fail', (code, platform) =>
    expect(lacksFolderSync(fault(code), platform)).toBe(false),
  );
});
