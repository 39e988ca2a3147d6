import { mongo } from 'mongoose';

const { BSON } = mongo;

/** Opcodes of MongoDB's wire protocol, as far as a driver without compression uses them. */
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER = 16;
const CHECKSUM_PRESENT = 1;

export type Command = Readonly<Record<string, unknown>>;

/** One message as it came, with the command or reply document in it. */
export interface WireMessage {
  readonly raw: Buffer;
  readonly requestId: number;
  readonly responseTo: number;
  /**
   * Undefined for a message of another kind. Document sequences (`documents`, `updates`, `deletes`)
   * stand in it as arrays.
   */
  readonly document: Command | undefined;
}

/** Cuts a stream of bytes into messages. */
export class MessageReader {
  #pending = Buffer.alloc(0);

  read(bytes: Buffer): WireMessage[] {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    const messages: WireMessage[] = [];
    while (this.#pending.length >= HEADER) {
      const length = this.#pending.readInt32LE(0);
      if (this.#pending.length < length) break;
      messages.push(parse(this.#pending.subarray(0, length)));
      this.#pending = this.#pending.subarray(length);
    }
    return messages;
  }
}

function parse(raw: Buffer): WireMessage {
  const [requestId, responseTo, opcode] = [raw.readInt32LE(4), raw.readInt32LE(8), raw.readInt32LE(12)];
  return { raw, requestId, responseTo, document: documentIn(raw, opcode) };
}

function documentIn(raw: Buffer, opcode: number): Command | undefined {
  // Flags, cursor id, starting point and count stand before the documents of a reply.
  if (opcode === OP_REPLY) return decode(raw.subarray(HEADER + 20));
  if (opcode === OP_QUERY) {
    const name = raw.indexOf(0, HEADER + 4);
    const document = raw.subarray(name + 1 + 8);
    return decode(document.subarray(0, document.readInt32LE(0)));
  }
  return opcode === OP_MSG ? sectionsOf(raw) : undefined;
}

function sectionsOf(raw: Buffer): Command {
  const end = raw.length - (raw.readUInt32LE(HEADER) & CHECKSUM_PRESENT ? 4 : 0);
  const found: Record<string, unknown> = {};
  for (let at = HEADER + 4; at < end;) {
    const kind = raw.readUInt8(at);
    const size = raw.readInt32LE(at + 1);
    const section = raw.subarray(at + 1, at + 1 + size);
    if (kind === 0) Object.assign(found, decode(section));
    else Object.assign(found, sequenceIn(section));
    at += 1 + size;
  }
  return found;
}

/** A section of kind 1: its size, its name, and documents to its end. */
function sequenceIn(section: Buffer): Command {
  const nameEnd = section.indexOf(0, 4);
  const documents: Command[] = [];
  for (let at = nameEnd + 1; at < section.length;) {
    const size = section.readInt32LE(at);
    documents.push(decode(section.subarray(at, at + size)));
    at += size;
  }
  return { [section.toString('utf8', 4, nameEnd)]: documents };
}

/** Texts that are no UTF-8 are read in spite of it: a test may plant them. */
const decode = (bytes: Buffer): Command =>
  BSON.deserialize(bytes, { validation: { utf8: false }, promoteBuffers: true });

/**
 * A reply to the message `to`, in the form of `like`: a reply to the legacy handshake has a form of
 * its own.
 */
export function replyTo(to: number, document: Command, like?: Buffer): Buffer {
  const body = Buffer.from(BSON.serialize(document));
  const isLegacy = like?.readInt32LE(12) === OP_REPLY;
  const head = isLegacy ? like.subarray(HEADER, HEADER + 20) : Buffer.from([...flagsOf(like), 0]);
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(HEADER + head.length + body.length, 0);
  header.writeInt32LE(like?.readInt32LE(4) ?? 0, 4);
  header.writeInt32LE(to, 8);
  header.writeInt32LE(isLegacy ? OP_REPLY : OP_MSG, 12);
  return Buffer.concat([header, head, body]);
}

/** Without the checksum, which would be another one. */
function flagsOf(like: Buffer | undefined): Buffer {
  const flags = Buffer.alloc(4);
  if (like !== undefined) flags.writeUInt32LE((like.readUInt32LE(HEADER) & ~CHECKSUM_PRESENT) >>> 0, 0);
  return flags;
}
