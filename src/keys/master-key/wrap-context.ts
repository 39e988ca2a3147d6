import { encodeContext } from '../../crypto';
import type { WrapContext } from './master-key';

/** What a wrapped key is for. A purpose belongs either to owners or to the installation, never to both. */
export type WrapPurpose = 'user-key' | 'integrity' | 'integrity-opening' | 'one-time-codes' | 'receipts';

/** The owner of the installation's own keys. */
export const INSTALLATION = 'installation';

/**
 * The additional data of one wrap. It names purpose, owner and version, so that a person with write access to the store who puts one
 * owner's wrapped key into another owner's row, or an old version into the place of a new one, has a row that does not unwrap.
 * The version of the master key is not part of it: a rewrap keeps the context (docs/formats.md).
 */
export const wrapContext = (purpose: WrapPurpose, owner: string, keyVersion: number): WrapContext =>
  encodeContext([purpose, owner, keyVersion]);
