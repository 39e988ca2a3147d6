import { parseEmail } from './email-address';

describe('An e-mail address', () => {
  it.each(['alice@example.org', 'a.b+c@mail.example.co.uk', "o'neill@example.org", 'x_1@sub-domain.example.com'])(
    '%s is taken as it is',
    (address) => expect(parseEmail(address)).toEqual({ address, folded: address }),
  );

  it('is compared in lower case and mailed to as it was sent', () => {
    expect(parseEmail('Alice.B@Example.ORG')).toEqual({
      address: 'Alice.B@Example.ORG',
      folded: 'alice.b@example.org',
    });
  });

  it.each([
    'alice@b\u00FCcher.example',
    'alice@B\u00DCCHER.example',
    'alice@bu\u0308cher.example',
    'alice@xn--bcher-kva.example',
  ])('%s is one address with its punycode', (text) =>
    expect(parseEmail(text)?.folded).toBe('alice@xn--bcher-kva.example'),
  );

  it.each([
    ['empty', ''],
    ['without an at sign', 'alice.example.org'],
    ['without a domain', 'alice@'],
    ['without a local part', '@example.org'],
    ['with two at signs', 'a@b@example.org'],
    ['with a line feed and a header', 'alice@example.org\nBcc: mallory@example.org'],
    ['with a carriage return', 'alice\r@example.org'],
    ['with a NUL', 'alice\0@example.org'],
    ['with a tab', 'alice\t@example.org'],
    ['with a space', 'alice @example.org'],
    ['with a name and brackets', 'Alice <alice@example.org>'],
    ['that is a list', 'alice@example.org,mallory@example.org'],
    ['with a quoted local part', '"alice,mallory"@example.org'],
    ['with a comment', 'alice(comment)@example.org'],
    ['outside ASCII', 'al\u00EFce@example.org'],
    ['with an invisible mark in the domain', 'alice@ex\u00E4m\u200Bple.org'],
    ['with a line feed in an international domain', 'alice@ex\u00E4mple.org\nBcc: mallory@example.org'],
    ['without a top-level domain', 'alice@localhost'],
    ['with a dot at the end of the local part', 'alice.@example.org'],
    ['with an address literal', 'alice@[192.0.2.7]'],
    ['of 255 characters', `${'a'.repeat(64)}@${'b.'.repeat(90)}example.org`.padEnd(255, 'm')],
    ['with a local part of 65 characters', `${'a'.repeat(65)}@example.org`],
  ])('%s is refused', (_what, text) => expect(parseEmail(text)).toBeUndefined());
});
