/**
 * A client that never repeats a command by itself: what it was told about each one is the history.
 * When its node is gone it goes on with the next one.
 */
import { Redis } from 'ioredis';
import type { ReplyValue } from './history.ts';
import { type Answer, outcomeOfError, type Send } from './recording.ts';
import type { NodeAddress } from './target.ts';

const CONNECT_TIMEOUT_MS = 2000;
/** Longer than a node's own bound, so that the node's answer is what counts. */
const COMMAND_TIMEOUT_MS = 15_000;
/** After anything but an acknowledgement: keeps a cluster in trouble from being hammered. */
const PAUSE_MS = 50;

export class ChaosClient {
  readonly #nodes: readonly NodeAddress[];
  #at: number;
  #redis: Redis | undefined;
  /** Under way, so that commands sent together share one connection. */
  #connecting: Promise<Redis> | undefined;

  constructor(nodes: readonly NodeAddress[], first: number) {
    this.#nodes = nodes;
    this.#at = first % nodes.length;
  }

  /** For workloads. */
  readonly send: Send = ([command, ...args]) => this.run(command!, ...args);

  /** Never rejects. A command that could not be sent is refused. */
  async run(command: string, ...args: string[]): Promise<Answer> {
    const node = this.#nodes[this.#at]!;
    let redis: Redis;
    try {
      redis = await this.#connected(node);
    } catch (error) {
      await this.#moveOn();
      return { outcome: 'refused', reply: `not sent: ${String(error)}`, node: node.name };
    }
    try {
      const reply = (await redis.call(command, ...args)) as ReplyValue;
      return { outcome: 'ok', reply, node: node.name };
    } catch (error) {
      const { outcome, reply } = classify(error);
      if (outcome === 'unknown') await this.#moveOn();
      else await pause();
      return { outcome, reply, node: node.name };
    }
  }

  close(): void {
    this.#redis?.disconnect();
    this.#redis = undefined;
  }

  async #connected(node: NodeAddress): Promise<Redis> {
    if (this.#redis?.status === 'ready') return this.#redis;
    this.#connecting ??= this.#connect(node).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(node: NodeAddress): Promise<Redis> {
    this.close();
    const redis = new Redis({
      host: node.host,
      port: node.port,
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
    });
    // Failures reach us through the promises; without a listener ioredis prints them as well.
    redis.on('error', () => undefined);
    this.#redis = redis;
    await redis.connect();
    return redis;
  }

  /** Takes the next node, after a short pause. */
  async #moveOn(): Promise<void> {
    this.close();
    this.#at = (this.#at + 1) % this.#nodes.length;
    await pause();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

/** A broken connection, or no answer in time, says nothing about the data. */
function classify(error: unknown): Pick<Answer, 'outcome' | 'reply'> {
  const reply = error instanceof Error ? error.message : String(error);
  const answered = error instanceof Error && error.name === 'ReplyError';
  return { outcome: answered ? outcomeOfError(reply) : 'unknown', reply };
}
