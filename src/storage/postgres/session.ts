/**
 * One connection to PostgreSQL, with an exact account of what is known of each statement sent on it.
 *
 * `pg` calls back as soon as an error message arrives. But whether an error means "rolled back" or
 * "the connection is ending, who knows" shows only in what comes next, so a statement is settled here
 * when the server says that it is ready for the next one (ReadyForQuery), and everything that is open
 * when the connection ends is of unknown outcome.
 *
 * Statements may be pipelined: each is followed by its own Sync, hence is its own transaction.
 */
import type { EventEmitter } from 'node:events';
import pg from 'pg';
import type { Logger } from '../../platform/logger.ts';
import type { TimerHandle, Timers } from '../../platform/clock.ts';
import { StoreError } from './store.ts';
import { messageOf, rolledBack } from './sql-errors.ts';

export type Parameter = string | number | Buffer | null;

export interface Statement {
  /** Set: prepared once a connection under this name. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly Parameter[];
}

export interface Answer {
  /** All columns as the server's text. */
  readonly rows: readonly (string | null)[][];
  /** The command tag's first word, in capitals. */
  readonly command: string;
  /** `I`: no transaction is open; `T`: one is; `E`: one is, and has failed. */
  readonly status: string;
  /** The server sent a warning while it ran the statement. */
  readonly warning: string | null;
}

export interface SessionSettings {
  readonly url: string;
  /** Database to connect to instead of the one that the URL names. */
  readonly database?: string;
  /** For pg_stat_activity: `ringfence:<node>:<role>`. */
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** The server's own limit for a statement; 0: none. */
  readonly statementTimeoutMs: number;
  /** A statement that is not answered for this long costs the connection. */
  readonly answerTimeoutMs: number;
  readonly pipeline: boolean;
  /** Further run-time settings of the server. */
  readonly set: Readonly<Record<string, string>>;
  /** What `meta` must say; null: not checked (before the schema is there). */
  readonly clusterId: string | null;
  /** What `historyOf` must say; null: not checked. */
  readonly history: string | null;
  readonly timers: Timers;
  readonly logger: Logger;
}

type Result = pg.QueryArrayResult;

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: StoreError) => void;
  readonly watch: TimerHandle | null;
  result: { rows: (string | null)[][]; command: string } | null;
  error: pg.DatabaseError | null;
  warning: string | null;
}

/** What is used of pg's connection below its client; its types leave some of it out. */
interface Wire {
  readonly connection: EventEmitter & { readonly stream: { destroy(): void } };
}

/** What pg calls of something submitted; its types leave out what concerns COPY. */
interface Copy {
  submit(connection: { query(text: string): void }): void;
  handleCopyData(message: { readonly chunk: Buffer }): void;
  handleCommandComplete(): void;
  handleError(error: Error): void;
  handleReadyForQuery(): void;
}

/** All values stay the text that the server sent. */
const RAW_TYPES: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text };

const KEEPALIVE_IDLE_MS = 5_000;

/** For every session, whatever the server or the role have as defaults. */
const SETTINGS: Readonly<Record<string, string>> = {
  // The functions' locking needs a fresh snapshot for each statement.
  default_transaction_isolation: 'read committed',
  // Whatever is sent as a notice is then a warning, in any language.
  client_min_messages: 'warning',
  jit: 'off',
  // The server notices a dead node's connection after some 20 seconds, not two hours.
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '3',
  tcp_keepalives_count: '3',
};

export class Session {
  readonly #client: pg.Client;
  readonly #settings: SessionSettings;
  readonly #pending: Pending[] = [];
  #lost: StoreError | null = null;
  #closing = false;
  #backendPid = 0;
  #serverStart = '';
  readonly #ended: Promise<void>;

  private constructor(settings: SessionSettings) {
    this.#settings = settings;
    this.#client = new pg.Client(clientConfig(settings));
    this.#ended = new Promise((resolve) => this.#client.once('end', resolve));
    this.#client.on('error', (error) => this.#lose(error));
    this.#client.on('end', () => this.#lose(new Error('the connection was closed')));
    this.#client.on('notice', (notice) => {
      const head = this.#pending[0];
      if (head !== undefined) head.warning = notice.message ?? 'warning without text';
      else settings.logger.warn({ text: notice.message }, 'database sent a warning');
    });
  }

  /**
   * Connects, makes sure that it is a primary and the database that is meant, and sets what every
   * session needs. Rejects with 'unavailable'; the cause is the driver's error.
   */
  static async open(settings: SessionSettings): Promise<Session> {
    const session = new Session(settings);
    try {
      await session.#client.connect();
    } catch (error) {
      session.#lose(error);
      throw new StoreError('unavailable', `cannot connect to the database: ${messageOf(error)}`, {
        cause: error,
      });
    }
    session.#wire.on('readyForQuery', (message: { status?: string }) =>
      session.#settle(message.status ?? ''),
    );
    try {
      await session.#setUp();
    } catch (error) {
      session.destroy();
      throw error;
    }
    return session;
  }

  /** The server's process for this connection. */
  get backendPid(): number {
    return this.#backendPid;
  }

  /** When the server was started, in its own words: another moment is another run of it. */
  get serverStart(): string {
    return this.#serverStart;
  }

  /** Resolves when the connection is over, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** The server's history that this session was opened to; null: not checked. */
  get history(): string | null {
    return this.#settings.history;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Statements sent and not answered. */
  get inFlight(): number {
    return this.#pending.length;
  }

  /**
   * Sends a statement. Rejects with a StoreError: what the server's error means, when it was rolled
   * back; 'unavailable' when it was not sent; 'unknown' when the connection ended before the answer.
   * `answerTimeoutMs` overrides the session's limit for this one statement.
   */
  run(statement: Statement, answerTimeoutMs = this.#settings.answerTimeoutMs): Promise<Answer> {
    return this.#start((pending) => this.#send(statement, pending), answerTimeoutMs);
  }

  /** Like `run`, for statements that change nothing: a lost connection is then 'unavailable', too. */
  async read(statement: Statement, answerTimeoutMs?: number): Promise<Answer['rows']> {
    try {
      return (await this.run(statement, answerTimeoutMs)).rows;
    } catch (error) {
      throw asRead(error);
    }
  }

  /**
   * Runs `COPY ... TO STDOUT`, on a session that does not pipeline, and hands over its messages as they come; `take`
   * must not keep them. One that it throws at ends the connection. Rejects as `read` does.
   */
  async copyOut(text: string, take: (message: Buffer) => void): Promise<void> {
    const { answerTimeoutMs } = this.#settings;
    try {
      await this.#start((pending) => this.#sendCopy(text, take, pending), answerTimeoutMs);
    } catch (error) {
      throw asRead(error);
    }
  }

  /** Waits for what is under way (as long as for an answer), then closes. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#lost !== null) return this.#ended;
    if (this.#pending.length === 0) void this.#client.end();
    const { timers, answerTimeoutMs } = this.#settings;
    const watch = timers.after(answerTimeoutMs, () => this.destroy());
    await this.#ended;
    watch.cancel();
  }

  /** Ends the connection at once; what is open is of unknown outcome. */
  destroy(): void {
    this.#lose(new Error('the connection was given up'));
  }

  get #wire(): EventEmitter & { readonly stream: { destroy(): void } } {
    return (this.#client as unknown as Wire).connection;
  }

  #start(send: (pending: Pending) => void, answerTimeoutMs: number): Promise<Answer> {
    if (this.#lost !== null || this.#closing) {
      const why = this.#lost?.message ?? 'the connection is being closed';
      return Promise.reject(new StoreError('unavailable', why, { cause: this.#lost }));
    }
    return new Promise((resolve, reject) => {
      const watch = this.#settings.timers.after(answerTimeoutMs, () =>
        this.#lose(new Error(`the database did not answer for ${answerTimeoutMs} ms`)),
      );
      const pending: Pending = { resolve, reject, watch, result: null, error: null, warning: null };
      this.#pending.push(pending);
      send(pending);
    });
  }

  #send(statement: Statement, pending: Pending): void {
    const config: pg.QueryArrayConfig = {
      text: statement.text,
      rowMode: 'array',
      types: RAW_TYPES,
      ...(statement.name === undefined ? {} : { name: statement.name }),
      ...(statement.values === undefined ? {} : { values: [...statement.values] }),
    };
    // pg hands the callback null, not undefined, when all is well.
    this.#client.query(config, (error: Error | null, result: Result | Result[]) => {
      if (error instanceof pg.DatabaseError) {
        pending.error = error;
      } else if (error !== null && error !== undefined) {
        this.#lose(error);
      } else {
        // A text of several statements has several results; the last one is the answer.
        const last = Array.isArray(result) ? result.at(-1) : result;
        pending.result = {
          rows: (last?.rows ?? []) as (string | null)[][],
          command: last?.command ?? '',
        };
      }
    });
  }

  /** pg hands the answers of the protocol to whatever was submitted. */
  #sendCopy(text: string, take: (message: Buffer) => void, pending: Pending): void {
    const copy: Copy = {
      submit: (connection) => connection.query(text),
      handleCopyData: ({ chunk }) => {
        if (this.#lost !== null) return;
        try {
          take(chunk);
        } catch (error) {
          this.#lose(error);
        }
      },
      handleCommandComplete: () => {
        pending.result = { rows: [], command: 'COPY' };
      },
      handleError: (error) => {
        if (error instanceof pg.DatabaseError) pending.error = error;
        else this.#lose(error);
      },
      handleReadyForQuery: () => undefined,
    };
    this.#client.query(copy as unknown as pg.Submittable);
  }

  /** ReadyForQuery: the statement at the head is over, one way or the other. */
  #settle(status: string): void {
    const head = this.#pending[0];
    if (head === undefined) return;
    if (head.error === null && head.result === null) {
      this.#lose(new Error('the database ended a statement without an answer'));
      return;
    }
    this.#pending.shift();
    head.watch?.cancel();
    if (head.error !== null) head.reject(rolledBack(head.error));
    else if (head.result !== null) head.resolve({ ...head.result, status, warning: head.warning });
    if (this.#closing && this.#pending.length === 0) void this.#client.end();
  }

  #lose(error: unknown): void {
    if (this.#lost !== null) return;
    const reason = this.#pending[0]?.error ?? error;
    this.#lost = new StoreError('unavailable', `the connection is over: ${messageOf(reason)}`, {
      cause: error,
    });
    for (const pending of this.#pending.splice(0)) {
      pending.watch?.cancel();
      pending.reject(
        new StoreError(
          'unknown',
          `the connection was lost before the answer: ${messageOf(reason)}`,
          {
            cause: error,
          },
        ),
      );
    }
    this.#wire.stream.destroy();
  }

  async #setUp(): Promise<void> {
    const { set, statementTimeoutMs, clusterId, history } = this.#settings;
    const wanted = { ...SETTINGS, ...set, statement_timeout: String(statementTimeoutMs) };
    const names = Object.keys(wanted);
    const [row] = await this.read({
      // Never lower than "on"; a server that asks for more keeps it.
      text: `SELECT pg_is_in_recovery(), pg_backend_pid(), pg_postmaster_start_time(),
          set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
          ${clusterId === null ? 'NULL' : CLUSTER_ID_QUERY},
          ${history === null ? 'NULL' : HISTORY_QUERY},
          (SELECT count(set_config(s.name, s.value, false))
            FROM unnest($1::text[], $2::text[]) AS s(name, value))`,
      values: [textLiteral(names), textLiteral(Object.values(wanted))],
    });
    if (row === undefined || row[0] !== 'f') {
      throw new StoreError('unavailable', 'the database is a standby (in recovery), not a primary');
    }
    if (clusterId !== null && row[4] !== clusterId) {
      throw new StoreError('unavailable', 'this is another database than the one at start-up');
    }
    if (history !== null && row[5] !== history) {
      throw new StoreError(
        'replaced',
        `the database failed over or was restored: its history is ${row[5]}, it was ${history}`,
      );
    }
    this.#backendPid = Number(row[1]);
    this.#serverStart = row[2] ?? '';
  }
}

/**
 * System identifier and timeline: they change when another server takes over, and when this one is
 * restored. The timeline is that of the log being written; the control file may be one checkpoint behind.
 */
const HISTORY_QUERY = `(SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE
  c.system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
  FROM pg_control_system() AS c)`;

/** What tells the server and its history from others; null: this server does not say it. */
export async function historyOf(session: Session): Promise<string | null> {
  try {
    const [row] = await session.read({ text: `SELECT ${HISTORY_QUERY}` });
    return row?.[0] ?? null;
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'rejected') return null;
    throw error;
  }
}

const CLUSTER_ID_QUERY = "(SELECT m.value FROM ringfence.meta m WHERE m.name = 'cluster_id')";

/** For a statement without effects nothing is unknown. */
export function asRead(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.kind !== 'unknown') return error;
  return new StoreError('unavailable', error.message, { cause: error });
}

/** A `text[]` literal for settings and names; the hot path has binary arrays. */
export function textLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

/** The database that a URL names, by pg's own rules. */
export function databaseOf(url: string): string {
  return new pg.Client({ connectionString: url }).database ?? '';
}

function clientConfig(settings: SessionSettings): pg.ClientConfig {
  const common = {
    application_name: settings.applicationName,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_IDLE_MS,
    pipeline: settings.pipeline,
  };
  if (settings.database === undefined) return { ...common, connectionString: settings.url };
  // pg lets a connection string win over everything beside it, so it is taken apart by a client that
  // never connects.
  const parsed = new pg.Client({ connectionString: settings.url });
  return {
    ...common,
    host: parsed.host,
    port: parsed.port,
    ssl: parsed.ssl,
    database: settings.database,
    ...(parsed.user === undefined ? {} : { user: parsed.user }),
    ...(parsed.password === undefined || parsed.password === null
      ? {}
      : { password: parsed.password }),
  };
}
