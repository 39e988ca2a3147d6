import { PartSize } from '../part-size';
import { asOneOperation, isWithinOperation, unavailable, type VaultReply } from '../../../vault-client';

/** One item of `batch_results`. `error` is Vault's text: its presence counts, its words stay here. */
export interface BatchAnswer {
  readonly ciphertext?: string;
  readonly plaintext?: string;
  readonly error?: string;
}

/** Sends one `batch_input`, gives the reply. `isBulk`: one that takes too long is sent again in smaller parts. */
export type SendBatch = (items: readonly BatchRequest[], isBulk: boolean) => Promise<VaultReply>;
type SendPart = (items: readonly BatchRequest[]) => Promise<VaultReply>;
export type BatchRequest = Readonly<Record<string, string | number>>;

// OpenBao refuses JSON with more than 1,000 strings, member names included: a rewrap item has five of them.
const CHUNK = 150;

/**
 * All items in order, in as few requests as Vault takes: a request that is refused as a whole (for its size) is halved, and so is one that
 * takes too long, unless it is part of an operation with a deadline of its own.
 * @throws DomainError `kms_unavailable` where even one item alone is refused without a result: then it is the key or the mount that is
 * not there, and no item must be taken for faulty because of it.
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
  // 403 and 404 speak of the token or the key, never of an item; nor does a success without results.
  const mayBeSize = reply.status === 400 || reply.status === 413;
  if (!mayBeSize || items.length === 1) throw unavailable(`status ${reply.status}`);
  const answers: BatchAnswer[] = [];
  for (const half of halves(items)) answers.push(...(await sendPart(half, send)));
  return answers;
}

/** encrypt and decrypt answer 400 when an item is refused, with the results of all of them in the body. */
function resultsOf(reply: VaultReply): BatchAnswer[] | undefined {
  const data = reply.body.data as { batch_results?: unknown } | null | undefined;
  return Array.isArray(data?.batch_results) ? (data.batch_results as BatchAnswer[]) : undefined;
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}
