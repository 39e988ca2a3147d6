const BITS = 5;

/** 32 letters, five bits each, most significant bit first; no padding. */
export class Base32 {
  constructor(private readonly alphabet: string) {}

  encode(bytes: Uint8Array): string {
    const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    const groups = bits.match(/.{1,5}/g) ?? [];
    return groups.map((group) => this.alphabet.charAt(parseInt(group.padEnd(BITS, '0'), 2))).join('');
  }
}

/** RFC 4648: what authenticator apps read. */
export const RFC4648 = new Base32('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567');
/** Crockford's: without I, L, O and U, for codes that people copy from paper. */
export const CROCKFORD = new Base32('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
