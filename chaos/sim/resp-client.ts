/**
 * One connection of a client to a node's Redis port, over the modelled network and the production server.
 * Commands may be sent before earlier ones are answered.
 */
import RedisParser from 'redis-parser';
import type { Connection } from '../../src/platform/transport.ts';
import type { ReplyValue } from '../history.ts';
import { type Answer, outcomeOfError } from '../recording.ts';
import type { Host } from './machine.ts';
import type { SimNetwork } from './network.ts';

const CONNECT_TIMEOUT_MS = 500;

interface Waiting {
  answer(outcome: Answer['outcome'], reply: ReplyValue): void;
}

export interface RespClientOptions {
  readonly network: SimNetwork;
  readonly host: Host;
  readonly node: string;
  readonly port: number;
  /** A command without an answer for this long costs the connection, milliseconds. */
  readonly answerTimeoutMs: number;
}

export class RespClient {
  readonly node: string;
  readonly #options: RespClientOptions;
  readonly #connection: Connection;
  readonly #waiting: Waiting[] = [];
  #closed = false;

  private constructor(options: RespClientOptions, connection: Connection) {
    this.node = options.node;
    this.#options = options;
    this.#connection = connection;
    const parser = new RedisParser({
      returnReply: (reply: ReplyValue) => this.#waiting.shift()?.answer('ok', reply),
      returnError: ({ message }: Error) =>
        this.#waiting.shift()?.answer(outcomeOfError(message), message),
      returnFatalError: ({ message }: Error) => this.#lose(`not the Redis protocol: ${message}`),
    });
    connection.handle({
      onData: (chunk) => parser.execute(Buffer.from(chunk)),
      onClose: (error) => this.#lose(error?.message ?? 'the node closed the connection'),
    });
  }

  /** Rejects when the node cannot be reached. */
  static async connect(options: RespClientOptions): Promise<RespClient> {
    const { network, host, node, port } = options;
    const at = { host: node, port, timeoutMs: CONNECT_TIMEOUT_MS };
    return new RespClient(options, await network.transport(host).connect(at));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a command, once; never rejects. Without an answer its outcome is unknown. */
  send(command: readonly string[]): Promise<Answer> {
    const { node } = this;
    if (this.#closed)
      return Promise.resolve({
        outcome: 'refused',
        reply: 'not sent: the connection is over',
        node,
      });
    return new Promise((resolve) => {
      const watch = this.#options.host.timers.after(this.#options.answerTimeoutMs, () =>
        this.close('no answer in time'),
      );
      this.#waiting.push({
        answer(outcome, reply) {
          watch.cancel();
          resolve({ outcome, reply, node });
        },
      });
      this.#connection.write(encode(command));
    });
  }

  close(reason = 'closed'): void {
    if (this.#closed) return;
    this.#connection.destroy();
    this.#lose(reason);
  }

  #lose(reason: string): void {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.answer('unknown', reason);
  }
}

function encode(command: readonly string[]): string {
  return `*${command.length}\r\n${command.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}
