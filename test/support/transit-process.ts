import { SecretBytes } from '../../src/kernel';
import { wrapContext } from '../../src/keys/master-key';
import { TransitMasterKey } from '../../src/keys/master-key/transit';

// A program that wraps and unwraps one key and fails once, with whatever its environment makes
// libraries print.
const [address, roleId, secretId] = process.argv.slice(2);

async function main(): Promise<void> {
  const config = { home: 'transit', address: address!, namespace: undefined, caCert: undefined } as const;
  const names = { transitMount: 'transit', keyName: 'coffer-master' };
  const home = new TransitMasterKey({ ...config, ...names, login: { roleId: roleId!, secretId: secretId! } });
  await home.open();
  const context = wrapContext('user-key', 'alice', 1);
  const key = new SecretBytes(Buffer.from('a key whose bytes are a sentence!'));
  const [wrapped] = await home.wrap(1, [{ key, context }]);
  await home.unwrap([{ wrapped: wrapped!, context }]);
  await home.wrap(99, [{ key, context }]).catch((error: unknown) => console.error(error));
  console.log('finished');
}

void main();
