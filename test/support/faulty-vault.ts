import { type TransportAnswer, type TransportRequest, VaultTransport } from '../../src/vault-client/vault-api';
import { WriteFaults } from './write-faults';

// eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the transport that it was called on
const realSend = VaultTransport.prototype.send;

/**
 * The transport to Vault in this process, whose writes fail as `faults` says: a refused one is not
 * sent, one that is done loses its answer, and one that is done later is sent when its caller has
 * given up. Logins and token renewals are left alone.
 */
export function faultyVault(faults = new WriteFaults()): { readonly faults: WriteFaults; restore(): void } {
  const spy = jest.spyOn(VaultTransport.prototype, 'send');
  spy.mockImplementation(function (this: VaultTransport, request: TransportRequest): Promise<TransportAnswer> {
    const path = new URL(request.uri).pathname.replace(/^\/v1\//, '');
    if (request.method === 'GET' || path.startsWith('auth/')) return realSend.call(this, request);
    const write = { target: 'vault', method: request.method, id: path, content: request.json };
    return faults.run(
      write,
      () => realSend.call(this, request),
      () => new Error('the connection was cut'),
    );
  });
  return { faults, restore: () => spy.mockRestore() };
}
