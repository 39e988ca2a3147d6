import { Connection, createConnection, Model, mongo } from 'mongoose';
import { DomainError, SECOND, StartupError, stretched } from '../../kernel';
import { CLOSE_DEADLINE, OPERATION_DEADLINE, withDeadline } from '../deadline';
import { BsonRow } from './mongo-rows';
import { mongoFault } from './mongo-errors';
import { lackingServer, lacksFeature } from './mongo-features';
import { mongoReason } from './mongo-reason';
import { refuseOtherGuarantees } from './mongo-url';
import { type Hello, hasPeers, isWritable, readsFromPrimary } from './primary-only';

export interface MongoAddress {
  /** May hold a password: never log it or include it in an error. */
  readonly url: string;
  readonly dbName: string;
}

/**
 * Driver timeouts, which release the resources of a dead server. The deadline of 2 seconds depends
 * on `withDeadline`: the driver's per-operation `timeoutMS` has no effect in this version, and a
 * socket timeout would abort index builds.
 */
const timeouts = () => ({
  serverSelectionTimeoutMS: stretched(1_200),
  connectTimeoutMS: stretched(1_000),
  waitQueueTimeoutMS: stretched(1_200),
  heartbeatFrequencyMS: 2 * SECOND,
});

const guarantees = () =>
  ({
    writeConcern: { w: 'majority', journal: true, wtimeoutMS: stretched(1_500) },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
  }) as const;

/**
 * Shorter than the deadline of an operation: a linearizable read without a majority never ends by
 * itself.
 */
export const linearizable = () =>
  ({ readConcern: { level: 'linearizable' }, readPreference: 'primary', maxTimeMS: stretched(1_500) }) as const;

/** One mongoose connection, opened at its first use; a failed open is retried at the next use. */
export class MongoConnection {
  readonly #connection: Connection;
  #opening: Promise<unknown> | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';
  /** False while `directConnection` ties the driver to a server that has stepped down. */
  #readsFromPrimary = true;

  constructor(private readonly address: MongoAddress) {
    this.#connection = createConnection();
    // Without a listener a failed connect is an unhandled rejection and ends the process. The
    // caller of each operation gets the error.
    this.#connection.on('error', () => undefined);
  }

  model(name: string, schema: Parameters<Connection['model']>[1]): Model<BsonRow> {
    return this.#connection.model(name, schema) as unknown as Model<BsonRow>;
  }

  /**
   * Returns a driver collection with this connection's guarantees. Only inside `run`: there is none
   * before the connection is open.
   */
  documents<T extends mongo.Document>(name: string): mongo.Collection<T> {
    const { db } = this.#connection;
    if (db === undefined) throw new DomainError('store_unavailable');
    return db.collection<T>(name, guarantees());
  }

  /**
   * Runs `act` once a server is available. Without a deadline for index builds, whose duration is
   * unbounded.
   */
  async run<T>(act: () => Promise<T>, collection: string, deadline: number | 'none' = OPERATION_DEADLINE): Promise<T> {
    const work = async (): Promise<T> => {
      await this.#open();
      if (!this.#readsFromPrimary) throw notPrimary();
      return act();
    };
    try {
      return await (deadline === 'none' ? work() : withDeadline(work(), deadline));
    } catch (error) {
      if (lacksFeature(error)) throw await lackingServer(error, this.#connection.db);
      throw mongoFault(error, collection);
    }
  }

  /**
   * Runs `read` in a session whose reads reflect every write acknowledged before this call, even
   * after a failover.
   * A server responds only once its majority has reached the time of a preceding linearizable read
   * (`afterClusterTime`). Only inside `run`.
   */
  async afterAcknowledged<T>(read: (session: mongo.ClientSession) => Promise<T>): Promise<T> {
    const time = await this.#linearizableTime();
    return this.#inSession((session) => {
      session.advanceOperationTime(time);
      return read(session);
    });
  }

  /** A former primary cannot answer such a read. */
  async #linearizableTime(): Promise<mongo.Timestamp> {
    const documents = this.documents<{ _id: string }>('installation');
    const readIn = async (session: mongo.ClientSession): Promise<mongo.Timestamp | undefined> => {
      await documents.findOne({ _id: 'installation' }, { ...linearizable(), projection: { _id: 1 }, session });
      return session.operationTime;
    };
    // Retried in a new session: a primary that steps down fails with a cluster time. The driver's
    // own retry would send that time, which no server accepts with a linearizable read.
    const time = await this.#inSession(readIn).catch(() => this.#inSession(readIn));
    if (time === undefined) throw new DomainError('store_unavailable');
    return time;
  }

  async #inSession<T>(act: (session: mongo.ClientSession) => Promise<T>): Promise<T> {
    const session = this.#connection.getClient().startSession({ causalConsistency: true });
    try {
      return await act(session);
    } finally {
      await session.endSession();
    }
  }

  async ping(deadline: number): Promise<void> {
    await this.run(async () => this.#connection.db?.command({ ping: 1 }), '', deadline);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    await withDeadline(this.#connection.close(), CLOSE_DEADLINE).catch(() => undefined);
  }

  /** Once the connection has been open, the driver reconnects by itself. */
  async #open(): Promise<void> {
    if (this.#state === 'closed') throw new DomainError('store_unavailable', { detail: 'The store is closed.' });
    if (this.#state === 'open') return;
    this.#opening ??= this.#connect().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  async #connect(): Promise<void> {
    refuseOtherGuarantees(this.address.url);
    try {
      await this.#connection.openUri(this.address.url, {
        dbName: this.address.dbName,
        appName: 'coffer',
        autoCreate: false,
        autoIndex: false,
        bufferCommands: false,
        // A text with invalid UTF-8 then affects only its own row, whose MAC fails, and not the
        // whole page.
        enableUtf8Validation: false,
        ...timeouts(),
        ...guarantees(),
      });
    } catch (error) {
      throw connectFault(error);
    }
    this.#requireGuarantees();
    await this.#requirePrimary();
    if (this.#state === 'new') this.#state = 'open';
  }

  /**
   * Checks the result of URL and options in the driver, to reject options that the list does not
   * cover.
   */
  #requireGuarantees(): void {
    const { writeConcern, readConcern, readPreference, retryWrites } = this.#connection.getClient().options;
    const { w, journal } = writeConcern;
    const isWritten = w === 'majority' && journal === true && retryWrites;
    if (isWritten && readConcern.level === 'majority' && readPreference.mode === 'primary') return;
    throw new StartupError('MONGODB_URL has an option that overrides what Coffer promises of its store: leave it out.');
  }

  /**
   * A standalone server has no majority and rejects retryable writes. With `directConnection` the
   * driver reads from any server, even from a secondary that lags.
   */
  async #requirePrimary(): Promise<void> {
    const hello: Hello = (await this.#connection.db?.command({ hello: 1 })) ?? {};
    if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid')
      throw new StartupError('MONGODB_URL must name a replica set; one server is enough for one (rs.initiate()).');
    const client = this.#connection.getClient();
    if (!isWritable(hello) && client.options.directConnection && hasPeers(hello))
      throw new StartupError(
        'MONGODB_URL ties Coffer with directConnection to a server that is not the primary: leave the option out and name the members.',
      );
    if (!isWritable(hello)) throw notPrimary();
    client.removeAllListeners('topologyDescriptionChanged');
    client.on('topologyDescriptionChanged', ({ newDescription }) => {
      this.#readsFromPrimary = readsFromPrimary(newDescription);
    });
  }
}

const notPrimary = (): DomainError =>
  new DomainError('store_unavailable', {
    detail: 'The store has no primary now.',
    reason: 'MongoDB (MONGODB_URL): the server is not the primary',
    retryAfterSeconds: 1,
  });

/** The driver's own text stays in the cause, because it may repeat parts of the URL. */
function connectFault(cause: unknown): Error {
  // By name: the driver and its URL parser each have a class of this name.
  if (cause instanceof Error && ['MongoParseError', 'MongoInvalidArgumentError'].includes(cause.name)) {
    return new StartupError('MONGODB_URL is no connection string of MongoDB.', { cause });
  }
  const reason = mongoReason(cause);
  return new DomainError('store_unavailable', { detail: 'The store cannot be reached.', reason, cause });
}

/** The driver's view of rows: RowShape and the MACs check field values, not these types. */
export type RowCollection = mongo.Collection<mongo.Document & { _id: string }>;
