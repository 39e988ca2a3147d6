import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Command, MessageReader, replyTo, type WireMessage } from './mongo-wire';

/** What becomes of the next commands of a name. */
export interface WireFault {
  /** The command, as `insert`. */
  readonly command: string;
  /** Only commands that this is true for. */
  readonly only?: (command: Command) => boolean;
  /**
   * `cut-before`: the connection is cut and the command never done; `cut-after`: it is done, and
   * the connection cut in place of the answer; `hold`: it is done, and no answer comes; a document:
   * the answer, with nothing done; a function: makes another answer of the server's, of its
   * document or of its bytes, whose number stays.
   */
  readonly act: 'cut-before' | 'cut-after' | 'hold' | Command | ((reply: Command) => Command) | ChangedBytes;
  /** How many commands meet it. */
  times: number;
}

export interface ChangedBytes {
  readonly bytes: (reply: Buffer) => Buffer;
}

/**
 * A member of a replica set, played in front of a test server: what a real set does at a failover
 * the test server does not do. Several of them before one server are a set whose members all have
 * the same data.
 */
export interface MongoProxy {
  readonly port: number;
  readonly host: string;
  /** Straight to this member, whatever role it has. */
  readonly url: string;
  /** What `hello` says, and whether commands are served. */
  role: 'primary' | 'secondary';
  /** The members that `hello` lists; this one alone at first. */
  members: readonly MongoProxy[];
  /** Taken one after the other; each is for the commands that it names. */
  readonly faults: WireFault[];
  /**
   * Commands that came, whatever became of them; those of the driver's own monitoring are left out.
   */
  readonly commands: Command[];
  /** Changes each answer to `hello` further. */
  onHello: (reply: Command) => Command;
  /** Ends all connections, as a member that steps down does. */
  cutAll(): void;
  close(): Promise<void>;
}

/** `target`: a port on the loopback interface. */
export async function startMongoProxy(target: number): Promise<MongoProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const pair = new Relay(proxy, client, connect(target, '127.0.0.1'));
    for (const socket of pair.sockets) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: MongoProxy = {
    port,
    host,
    url: `mongodb://${host}/?directConnection=true`,
    role: 'primary',
    members: [],
    faults: [],
    commands: [],
    onHello: (reply) => reply,
    cutAll,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cutAll();
      return closed;
    },
  };
  proxy.members = [proxy];
  return proxy;
}

/** As a client finds a set that has these members. */
export const setUrl = (members: readonly MongoProxy[], setName = 'secantus'): string =>
  `mongodb://${members.map(({ host }) => host).join(',')}/?replicaSet=${setName}`;

/** `next` becomes primary, and the others end their connections as secondaries. */
export function failOver(members: readonly MongoProxy[], next: MongoProxy): void {
  for (const member of members) {
    member.role = member === next ? 'primary' : 'secondary';
    if (member !== next) member.cutAll();
  }
}

const WRITES = new Set(['insert', 'update', 'delete', 'findAndModify', 'createIndexes', 'dropIndexes', 'create']);
const READS = new Set(['find', 'aggregate', 'count', 'distinct', 'getMore']);
const MONITORING = new Set(['hello', 'ismaster', 'isMaster', 'endSessions']);

/** One connection of a client and the one behind it. */
class Relay {
  readonly #pending = new Map<number, WireFault>();

  constructor(
    private readonly proxy: MongoProxy,
    private readonly client: Socket,
    private readonly server: Socket,
  ) {
    this.#carry(client, (message) => this.#ask(message));
    this.#carry(server, (message) => this.#answer(message));
  }

  get sockets(): readonly Socket[] {
    return [this.client, this.server];
  }

  #carry(from: Socket, handle: (message: WireMessage) => void): void {
    const reader = new MessageReader();
    from.on('data', (bytes) => reader.read(bytes).forEach(handle));
    from.on('error', () => undefined);
    from.on('close', () => this.#cut());
  }

  #ask(message: WireMessage): void {
    const command = message.document ?? {};
    const name = Object.keys(command)[0] ?? '';
    if (!MONITORING.has(name)) this.proxy.commands.push(command);
    const fault = this.#faultFor(name, command);
    const refusal = this.#refusal(name, command);
    if (fault?.act === 'cut-before') this.#cut();
    else if (fault !== undefined && isAnswer(fault.act)) this.#reply(message, fault.act);
    else if (fault === undefined && refusal !== undefined) this.#reply(message, refusal);
    else {
      if (fault !== undefined) this.#pending.set(message.requestId, fault);
      this.server.write(message.raw);
    }
  }

  #answer(message: WireMessage): void {
    const fault = this.#pending.get(message.responseTo);
    this.#pending.delete(message.responseTo);
    if (fault?.act === 'cut-after') this.#cut();
    else if (fault?.act === 'hold') return;
    else if (fault !== undefined && changesBytes(fault.act)) this.client.write(fault.act.bytes(message.raw));
    else if (typeof fault?.act === 'function') this.#rewritten(message, fault.act(message.document ?? {}));
    else if (isHello(message.document)) this.#rewritten(message, this.#hello(message.document));
    else this.client.write(message.raw);
  }

  #faultFor(name: string, command: Command): WireFault | undefined {
    const fault = this.proxy.faults.find(
      ({ command: meant, only, times }) => meant === name && times > 0 && (only?.(command) ?? true),
    );
    if (fault !== undefined) fault.times -= 1;
    return fault;
  }

  /** What a secondary says to a command that it does not serve. */
  #refusal(name: string, command: Command): Command | undefined {
    if (this.proxy.role === 'primary') return undefined;
    const mode = (command['$readPreference'] as { mode?: unknown } | undefined)?.mode ?? 'primary';
    if (WRITES.has(name)) return notWritablePrimary(command);
    return READS.has(name) && mode === 'primary'
      ? { ok: 0, code: 13435, codeName: 'NotPrimaryNoSecondaryOk', errmsg: 'not primary and secondaryOk=false' }
      : undefined;
  }

  /**
   * Without `topologyVersion`, so that a driver asks again and again and does not wait for a server
   * that never tells a change.
   */
  #hello({ topologyVersion: _version, ...reply }: Command): Command {
    const { members, role, host } = this.proxy;
    const isPrimary = role === 'primary';
    const hosts = members.map((member) => member.host);
    const { primary: _primary, electionId, ...shared } = reply;
    const leader = members.find((member) => member.role === 'primary');
    return this.proxy.onHello({
      ...shared,
      isWritablePrimary: isPrimary,
      ismaster: isPrimary,
      secondary: !isPrimary,
      hosts,
      me: host,
      ...(leader === undefined ? {} : { primary: leader.host }),
      ...(isPrimary && electionId !== undefined ? { electionId } : {}),
    });
  }

  #rewritten(message: WireMessage, document: Command): void {
    this.client.write(replyTo(message.responseTo, document, message.raw));
  }

  #reply(message: WireMessage, document: Command): void {
    this.client.write(replyTo(message.requestId, document));
  }

  #cut(): void {
    this.client.destroy();
    this.server.destroy();
  }
}

const changesBytes = (act: WireFault['act']): act is ChangedBytes =>
  typeof act === 'object' && 'bytes' in act && typeof act['bytes'] === 'function';

const isAnswer = (act: WireFault['act']): act is Command => typeof act === 'object' && !changesBytes(act);

const isHello = (document: Command | undefined): document is Command =>
  document !== undefined && ('isWritablePrimary' in document || 'ismaster' in document);

/**
 * What a primary answers that has stepped down. A write that the driver may repeat is labelled so
 * by the server.
 */
export const notWritablePrimary = (command: Command = { txnNumber: 1 }): Command => ({
  ok: 0,
  code: 10107,
  codeName: 'NotWritablePrimary',
  errmsg: 'not primary',
  ...('txnNumber' in command ? { errorLabels: ['RetryableWriteError'] } : {}),
});
