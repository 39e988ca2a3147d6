import { Branded } from '../kernel';

/** A user name in its stored form: `[a-z0-9][a-z0-9._-]{2,63}`. */
export type Username = Branded<string, 'Username'>;

// Checked before folding: U+212A KELVIN SIGN folds to `k` and U+0130 to `i` with a dot above. Names
// that only look alike must be neither one account nor two.
const SENT = /^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$/;

/** Returns the stored form of a user name; undefined if the text is not a user name. */
export const parseUsername = (text: string): Username | undefined =>
  SENT.test(text) ? (text.toLowerCase() as Username) : undefined;
