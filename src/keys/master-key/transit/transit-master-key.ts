import { setTimeout as sleep } from 'node:timers/promises';
import { SecretBytes, type WrappedKey } from '../../../kernel';
import {
  asOneOperation,
  isWithinOperation,
  openVault,
  PartSize,
  unavailable,
  type VaultReply,
  type VaultSession,
} from '../../../vault-client';
import {
  accepted,
  checkBatch,
  checkRetirable,
  type ItemResult,
  MasterKey,
  type MasterKeyState,
  refusedItem,
  type UnwrapItem,
  type WrapItem,
} from '../master-key';
import { DATA_MASTER_KEY, type MasterKeyInstance } from '../master-key-instance';
import { type TransitConfig, TransitKey } from './transit-key';

/**
 * How often a version that was made is looked for, where the answer to its making does not name it.
 */
const LOOKS = 3;
const LOOK_PAUSE_MS = 150;
const SHAPE = /^vault:v([1-9]\d{0,8}):[A-Za-z0-9+/]+={0,2}$/;

/**
 * The master key in the Transit engine of Vault or OpenBao (aes256-gcm96, derived): it never leaves
 * Vault. The wrap context goes in as Transit's `context` and not as associated data, which `rewrap`
 * silently ignores.
 */
export class TransitMasterKey extends MasterKey {
  readonly home = 'transit' as const;
  readonly #config: TransitConfig;
  readonly #session: VaultSession;
  readonly #key: TransitKey;
  readonly #batches = new TransitBatches();

  /** @throws StartupError where VAULT_CACERT cannot be read. */
  constructor(
    config: TransitConfig,
    session: VaultSession = openVault(config),
    instance: MasterKeyInstance = DATA_MASTER_KEY,
  ) {
    super();
    this.#config = { ...config, keyName: instance.transitKey(config.keyName) };
    this.#session = session;
    this.#key = new TransitKey(this.#session, this.#config);
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

  /**
   * More than once where the key has fewer versions than the backend that it takes over from: each
   * time is an operation of its own.
   */
  async rotate(expected: number): Promise<number> {
    for (;;) {
      const reached = await asOneOperation(() => this.#rotatedOnce(expected));
      if (reached > expected) return reached;
    }
  }

  /**
   * At least one version further, or not at all: a node that lags behind must not lead to one
   * version after the other.
   */
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
    const session = openVault({ ...this.#config, login: { token: operatorToken } });
    try {
      await session.open();
      await new TransitKey(session, this.#config).trimBelow(version + 1);
    } finally {
      session.close();
    }
  }

  close(): Promise<void> {
    this.#session.close();
    return Promise.resolve();
  }

  #batch(operation: 'encrypt' | 'decrypt' | 'rewrap', items: readonly BatchRequest[]): Promise<BatchAnswer[]> {
    const path = `${this.#config.transitMount}/${operation}/${this.#config.keyName}`;
    return this.#batches.send(items, (batch_input, isBulk) =>
      this.#session.request({ method: 'POST', path, body: { batch_input }, isBulk }),
    );
  }

  /**
   * Sends only what is a wrap of Transit and of the version that its row claims (the row's number
   * is what retire counts), and puts the answers back into the order of the items.
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

/**
 * One item of `batch_results`. `error` is Vault's text: its presence counts, its words stay here.
 */
export interface BatchAnswer {
  readonly ciphertext?: string;
  readonly plaintext?: string;
  readonly error?: string;
}

/**
 * Sends one `batch_input`, gives the reply. `isBulk`: one that takes too long is sent again in
 * smaller parts.
 */
export type SendBatch = (items: readonly BatchRequest[], isBulk: boolean) => Promise<VaultReply>;
type SendPart = (items: readonly BatchRequest[]) => Promise<VaultReply>;
export type BatchRequest = Readonly<Record<string, string | number>>;

// OpenBao refuses JSON with more than 1,000 strings, member names included: a rewrap item has five
// of them.
const CHUNK = 150;

/**
 * All items in order, in as few requests as Vault takes: a request that is refused as a whole (for
 * its size) is halved, and so is one that takes too long, unless it is part of an operation with a
 * deadline of its own.
 * @throws DomainError `kms_unavailable` where even one item alone is refused without a result: then
 * it is the key or the mount that is not there, and no item must be taken for faulty because of it.
 */
export class TransitBatches {
  readonly #size = new PartSize(CHUNK);

  async send(items: readonly BatchRequest[], send: SendBatch): Promise<BatchAnswer[]> {
    if (items.length === 0) return [];
    const isBulk = !isWithinOperation();
    const request: SendPart = (part) => send(part, isBulk && part.length > 1);
    // A batch that Vault takes in parts only is one operation all the same.
    if (!isBulk) return (await Promise.all(chunks(items).map((part) => sendPart(part, request)))).flat();
    const work = (part: readonly BatchRequest[]): Promise<BatchAnswer[]> =>
      asOneOperation(() => sendPart(part, request));
    const together = this.#size.isFull ? chunks(items) : [items];
    return (await Promise.all(together.map((part) => this.#size.inParts(part, work)))).flat();
  }
}

const chunks = (items: readonly BatchRequest[]): (readonly BatchRequest[])[] =>
  items.length > CHUNK ? halves(items) : [items];

async function sendPart(items: readonly BatchRequest[], send: SendPart): Promise<BatchAnswer[]> {
  const reply = await send(items);
  const results = resultsOf(reply);
  if (results?.length === items.length) return results;
  // 403 and 404 speak of the token or the key, never of an item; nor does a success without
  // results.
  const mayBeSize = reply.status === 400 || reply.status === 413;
  if (!mayBeSize || items.length === 1) throw unavailable(`status ${reply.status}`);
  const answers: BatchAnswer[] = [];
  for (const half of halves(items)) answers.push(...(await sendPart(half, send)));
  return answers;
}

/**
 * encrypt and decrypt answer 400 when an item is refused, with the results of all of them in the
 * body.
 */
function resultsOf(reply: VaultReply): BatchAnswer[] | undefined {
  const data = reply.body.data as { batch_results?: unknown } | null | undefined;
  return Array.isArray(data?.batch_results) ? (data.batch_results as BatchAnswer[]) : undefined;
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}
