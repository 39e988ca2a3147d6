const BITS = 5;

/** Base32: five bits a letter, most significant bit first, without padding. */
export class Base32 {
  constructor(private readonly alphabet: string) {}

  encode(bytes: Uint8Array): string {
    const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    const groups = bits.match(/.{1,5}/g) ?? [];
    return groups.map((group) => this.alphabet.charAt(parseInt(group.padEnd(BITS, '0'), 2))).join('');
  }
}

/** RFC 4648, for authenticator apps. */
export const RFC4648 = new Base32('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567');
/** Crockford's alphabet, without I, L, O and U, for codes that people copy from paper. */
export const CROCKFORD = new Base32('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
