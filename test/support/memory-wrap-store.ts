import { newKey } from '../../src/crypto';
import { DomainError, type SecretBytes, StartupError } from '../../src/kernel';
import { type MasterKeyState } from '../../src/keys/master-key';
import { checkRetirable } from '../../src/keys/master-key/master-key';
import { SoftwareMasterKey, type KeyLookup } from '../../src/keys/master-key/software-master-key';

/**
 * A home of the kv form in this process: the wrapping is the real one, the document a map that a
 * test can take away.
 */
export class MemoryWrapStore extends SoftwareMasterKey {
  readonly keys = new Map<number, SecretBytes>();
  /** Whether it answers. */
  up = true;
  opened = 0;

  constructor() {
    super('kv');
  }

  open({ create = true }: { readonly create?: boolean } = {}): Promise<void> {
    return this.#answer(() => {
      this.opened += 1;
      if (this.keys.size > 0) return;
      if (!create) throw new StartupError('The document is missing.');
      this.keys.set(1, newKey());
    });
  }

  state(): Promise<MasterKeyState> {
    return this.#answer(() => {
      const versions = [...this.keys.keys()].sort((a, b) => a - b).map((version) => ({ version, createdAt: 1 }));
      return { current: this.#newest, versions, destroyedBelow: versions[0]?.version ?? 0 };
    });
  }

  rotate(expected: number): Promise<number> {
    return this.#answer(() => {
      if (this.#newest <= expected) this.keys.set(Math.max(this.#newest, expected) + 1, newKey());
      return this.#newest;
    });
  }

  retire(version: number): Promise<void> {
    return this.#answer(() => {
      checkRetirable(version, this.#newest);
      for (const known of this.keys.keys()) if (known <= version) this.keys.delete(known);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  protected keysFor(): Promise<KeyLookup> {
    return this.#answer(() => (version: number) => this.keys.get(version));
  }

  get #newest(): number {
    return Math.max(0, ...this.keys.keys());
  }

  #answer<T>(act: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      if (!this.up) throw new DomainError('kms_unavailable');
      return act();
    });
  }
}
