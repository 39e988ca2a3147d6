import { aeadOpen, aeadSeal, encodeContext } from '../../../crypto';
import { isDomainError, SecretBytes, type WrappedKey } from '../../../kernel';
import { accepted, refusedItem } from '../batch';
import type { ItemResult, UnwrapItem, WrapContext } from '../master-key';

const FORMAT = 'coffer-local-wrap';
const SHAPE = /^local:v([1-9]\d{0,8}):([A-Za-z0-9+/]+={0,2})$/;

/** `local:v<N>:<base64 of nonce, ciphertext, tag>` (docs/formats.md): AES-256-GCM under version N, bound to N and to the context. */
export function sealLocal(master: SecretBytes, version: number, key: SecretBytes, context: WrapContext): WrappedKey {
  const sealed = aeadSeal(master, key.bytes, additionalData(version, context));
  return { masterVersion: version, ciphertext: `local:v${version}:${sealed.toString('base64')}` };
}

/** `masterOf` gives the key of a version, undefined where there is none. */
export function openLocal(
  item: UnwrapItem,
  masterOf: (version: number) => SecretBytes | undefined,
): ItemResult<SecretBytes> {
  const [, version, sealed] = SHAPE.exec(item.wrapped.ciphertext) ?? [];
  if (sealed === undefined) return refusedItem('not a wrap of the local keyring');
  // The row's own number is what retire counts: a row that claims another version than its wrap would be lost by it.
  if (Number(version) !== item.wrapped.masterVersion) return refusedItem('the wrap is of another master key version');
  const master = masterOf(item.wrapped.masterVersion);
  if (master === undefined) return refusedItem('master key version not in the keyring');
  try {
    const aad = additionalData(item.wrapped.masterVersion, item.context);
    return accepted(new SecretBytes(aeadOpen(master, Buffer.from(sealed, 'base64'), aad)));
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return refusedItem('the wrap does not open');
    throw error;
  }
}

const additionalData = (version: number, context: WrapContext): Buffer =>
  encodeContext([FORMAT, 1, version, context.toString('hex')]);
