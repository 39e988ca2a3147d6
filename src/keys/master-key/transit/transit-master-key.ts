import { setTimeout as sleep } from 'node:timers/promises';
import { SecretBytes, type WrappedKey } from '../../../kernel';
import { accepted, checkBatch, checkRetirable, refusedItem } from '../batch';
import { type ItemResult, MasterKey, type MasterKeyState, type UnwrapItem, type WrapItem } from '../master-key';
import { asOneOperation, openVault, unavailable, type VaultSession } from '../../../vault-client';
import { type BatchAnswer, type BatchRequest, TransitBatches } from './transit-batch';
import type { TransitConfig } from './transit-config';
import { TransitKey } from './transit-key';

/** How often a version that was made is looked for, where the answer to its making does not name it. */
const LOOKS = 3;
const LOOK_PAUSE_MS = 150;
const SHAPE = /^vault:v([1-9]\d{0,8}):[A-Za-z0-9+/]+={0,2}$/;

/**
 * The master key in the Transit engine of Vault or OpenBao (aes256-gcm96, derived): it never leaves Vault. The wrap context goes in as
 * Transit's `context` and not as associated data, which `rewrap` silently ignores.
 */
export class TransitMasterKey extends MasterKey {
  readonly home = 'transit' as const;
  readonly #session: VaultSession;
  readonly #key: TransitKey;
  readonly #batches = new TransitBatches();

  /** @throws StartupError where VAULT_CACERT cannot be read. */
  constructor(
    private readonly config: TransitConfig,
    session: VaultSession = openVault(config),
  ) {
    super();
    this.#session = session;
    this.#key = new TransitKey(this.#session, config);
  }

  async open({ create = true }: { readonly create?: boolean } = {}): Promise<void> {
    await this.#session.open();
    await this.#key.ensure(create);
  }

  state(): Promise<MasterKeyState> {
    return this.#key.state();
  }

  async wrap(version: number, items: readonly WrapItem[]): Promise<WrappedKey[]> {
    checkBatch(items);
    const answers = await this.#batch(
      'encrypt',
      items.map(({ key, context }) => ({
        plaintext: key.bytes.toString('base64'),
        context: context.toString('base64'),
        key_version: version,
      })),
    );
    const wrapped = answers.map((answer) => wrappedBy(answer, version)).filter((each) => each !== undefined);
    if (wrapped.length === answers.length) return wrapped;
    await this.#key.mustWrapWith(version);
    throw unavailable(`a wrap with version ${version} was refused`);
  }

  async unwrap(items: readonly UnwrapItem[]): Promise<ItemResult<SecretBytes>[]> {
    checkBatch(items);
    return this.#wellFormed(items, async (sound) => {
      const answers = await this.#batch('decrypt', sound.map(ciphertextOf));
      return answers.map(({ error, plaintext }) =>
        error === undefined && typeof plaintext === 'string' && plaintext !== ''
          ? accepted(new SecretBytes(Buffer.from(plaintext, 'base64')))
          : refusedItem('the wrap does not open'),
      );
    });
  }

  async rewrap(version: number, items: readonly UnwrapItem[]): Promise<ItemResult<WrappedKey>[]> {
    checkBatch(items);
    return this.#wellFormed(items, async (sound) => {
      const answers = await this.#batch(
        'rewrap',
        sound.map((item) => ({ ...ciphertextOf(item), key_version: version })),
      );
      const wrapped = answers.map((answer) => wrappedBy(answer, version));
      if (wrapped.includes(undefined)) await this.#key.mustWrapWith(version);
      return wrapped.map((value) => (value === undefined ? refusedItem('the wrap does not open') : accepted(value)));
    });
  }

  /** More than once where the key has fewer versions than the home that it takes over from: each time is an operation of its own. */
  async rotate(expected: number): Promise<number> {
    for (;;) {
      const reached = await asOneOperation(() => this.#rotatedOnce(expected));
      if (reached > expected) return reached;
    }
  }

  /** At least one version further, or not at all: a node that lags behind must not lead to one version after the other. */
  async #rotatedOnce(expected: number): Promise<number> {
    const { current } = await this.state();
    if (current > expected) return current;
    const made = await this.#key.rotate();
    if (made !== undefined && made > current) return made;
    for (let look = 0; look < LOOKS; look += 1) {
      if (look > 0) await sleep(LOOK_PAUSE_MS, undefined, { ref: false });
      const seen = (await this.state()).current;
      if (seen > current) return seen;
    }
    throw unavailable('a new version does not show');
  }

  retire(version: number): Promise<void> {
    return asOneOperation(async () => {
      checkRetirable(version, (await this.state()).current);
      await this.#key.raiseMinimum(version + 1);
    });
  }

  override keepEnded(floor: number): Promise<void> {
    return asOneOperation(async () => {
      // A Vault that was set back to before that version has nothing to be kept ended.
      if ((await this.state()).current >= floor) await this.#key.raiseMinimum(floor);
    });
  }

  override async trim(version: number, operatorToken: string): Promise<void> {
    const session = openVault({ ...this.config, login: { token: operatorToken } });
    try {
      await session.open();
      await new TransitKey(session, this.config).trimBelow(version + 1);
    } finally {
      session.close();
    }
  }

  close(): Promise<void> {
    this.#session.close();
    return Promise.resolve();
  }

  #batch(operation: 'encrypt' | 'decrypt' | 'rewrap', items: readonly BatchRequest[]): Promise<BatchAnswer[]> {
    const path = `${this.config.transitMount}/${operation}/${this.config.keyName}`;
    return this.#batches.send(items, (batch_input, isBulk) =>
      this.#session.request({ method: 'POST', path, body: { batch_input }, isBulk }),
    );
  }

  /**
   * Sends only what is a wrap of Transit and of the version that its row claims (the row's number is what retire counts), and puts the
   * answers back into the order of the items.
   */
  async #wellFormed<T>(
    items: readonly UnwrapItem[],
    send: (sound: readonly UnwrapItem[]) => Promise<ItemResult<T>[]>,
  ): Promise<ItemResult<T>[]> {
    const answers = (await send(items.filter(isWellFormed))).values();
    return items.map((item) =>
      isWellFormed(item)
        ? (answers.next().value ?? refusedItem('no answer'))
        : refusedItem('not a wrap of that version'),
    );
  }
}

const isWellFormed = ({ wrapped }: UnwrapItem): boolean =>
  Number(SHAPE.exec(wrapped.ciphertext)?.[1]) === wrapped.masterVersion;

const ciphertextOf = ({ wrapped, context }: UnwrapItem): { ciphertext: string; context: string } => ({
  ciphertext: wrapped.ciphertext,
  context: context.toString('base64'),
});

/** What Vault wrapped, if it is of the version that was asked for. */
function wrappedBy({ error, ciphertext }: BatchAnswer, version: number): WrappedKey | undefined {
  if (error !== undefined || typeof ciphertext !== 'string') return undefined;
  return Number(SHAPE.exec(ciphertext)?.[1]) === version ? { masterVersion: version, ciphertext } : undefined;
}
