/** A small Redis client for the command line: one connection, replies in order, no reconnecting. */
import { connect, type Socket } from 'node:net';
import RedisParser from 'redis-parser';

/** A reply with its type, which is shown to people. */
export type ClientReply =
  | { readonly kind: 'status' | 'error' | 'integer'; readonly text: string }
  | { readonly kind: 'bulk'; readonly bytes: Buffer }
  | { readonly kind: 'null' }
  | { readonly kind: 'array'; readonly items: readonly ClientReply[] };

export interface ClientAddress {
  readonly host: string;
  readonly port: number;
}

interface Waiting {
  readonly resolve: (reply: ClientReply) => void;
  readonly reject: (error: Error) => void;
}

const CONNECT_TIMEOUT_MS = 5000;
const PLUS = 0x2b;

export class ClientConnection {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  readonly #onUnasked: (reply: ClientReply) => void;
  /** Bytes of the reply that is arriving: the parser does not tell `+OK` from a bulk string. */
  #replyIsStatus = false;
  #atReplyStart = true;

  private constructor(socket: Socket, onUnasked: (reply: ClientReply) => void) {
    this.#socket = socket;
    this.#onUnasked = onUnasked;
    const parser = new RedisParser({
      returnReply: (value: unknown) =>
        this.#onReply(typed(value as ParsedValue, this.#replyIsStatus)),
      returnError: (error: Error) => this.#onReply({ kind: 'error', text: error.message }),
      returnFatalError: (error: Error) => socket.destroy(error),
      returnBuffers: true,
      // Integers as strings: none is rounded, and strings are then nothing but integers.
      stringNumbers: true,
    });
    socket.on('data', (chunk) => {
      if (this.#atReplyStart) this.#replyIsStatus = chunk[0] === PLUS;
      this.#atReplyStart = false;
      parser.execute(chunk);
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Rejects with the system's error, or after five seconds. `onUnasked` gets pushed messages. */
  static open(
    { host, port }: ClientAddress,
    onUnasked: (reply: ClientReply) => void = () => undefined,
  ): Promise<ClientConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      const timer = setTimeout(() => {
        socket.destroy(new Error(`no answer from ${host}:${port} within 5 s`));
      }, CONNECT_TIMEOUT_MS);
      const onError = (error: Error): void => reject(error);
      socket.once('error', onError);
      socket.once('close', () => clearTimeout(timer));
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', onError);
        resolve(new ClientConnection(socket, onUnasked));
      });
    });
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Arguments are binary strings. Rejects only when the connection is lost. */
  send(args: readonly string[]): Promise<ClientReply> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new Error('the connection is closed'));
        return;
      }
      this.#waiting.push({ resolve, reject });
      const head = `*${args.length}\r\n`;
      const body = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('');
      this.#socket.write(head + body, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onReply(reply: ClientReply): void {
    this.#atReplyStart = true;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#onUnasked(reply);
    else waiting.resolve(reply);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** What the parser hands out with the options above. */
type ParsedValue = string | Buffer | Error | null | ParsedValue[];

function typed(value: ParsedValue, isStatus: boolean): ClientReply {
  if (value === null) return { kind: 'null' };
  if (Buffer.isBuffer(value)) {
    return isStatus
      ? { kind: 'status', text: value.toString('utf8') }
      : { kind: 'bulk', bytes: value };
  }
  if (value instanceof Error) return { kind: 'error', text: value.message };
  if (Array.isArray(value)) {
    return { kind: 'array', items: value.map((item) => typed(item, false)) };
  }
  return { kind: 'integer', text: value };
}
