import { Branded } from '../kernel';

/** A user name in its one stored form: `[a-z0-9][a-z0-9._-]{2,63}`. */
export type Username = Branded<string, 'Username'>;

// Held against what was sent, before the folding: U+212A KELVIN SIGN folds to `k` and U+0130 to `i` with a dot above, and names
// that only look alike must not become one account, nor two.
const SENT = /^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$/;

/** The name as it is stored and compared; undefined where it is none. */
export const parseUsername = (text: string): Username | undefined =>
  SENT.test(text) ? (text.toLowerCase() as Username) : undefined;
