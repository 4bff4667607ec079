/**
 * Clients that know every reply they must get, with single commands, pipelines and commands over several
 * nodes, one after the other without pause. Whatever else they get is a failure.
 */
import type { ClusterNode } from '../../support/cluster.ts';
import { RespClient } from '../../support/resp-client.ts';

const CLIENTS_PER_NODE = 3;
const REPLY_TIMEOUT_MS = 30_000;

interface Step {
  readonly command: readonly string[];
  /** The bytes of the reply. */
  readonly reply: string;
}

export class MixedLoad {
  /** Replies that were wrong, with what was sent. */
  readonly failures: string[] = [];
  /** Commands answered so far. */
  replies = 0;
  /** The longest time for which some client waited for one round of commands, milliseconds. */
  longestWaitMs = 0;
  readonly #clients: Promise<void>[];
  #stopping = false;

  /** `prefix` keeps the keys of several loads apart. */
  constructor(nodes: readonly ClusterNode[], prefix: string) {
    this.#clients = nodes.flatMap((node) =>
      Array.from({ length: CLIENTS_PER_NODE }, (_, i) =>
        this.#work(node, `${prefix}:${node.id}:${i}`),
      ),
    );
  }

  /** Resolves when the clients had `count` more replies, all together. */
  async progress(count: number): Promise<void> {
    const target = this.replies + count;
    while (this.replies < target && this.failures.length === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #work(node: ClusterNode, prefix: string): Promise<void> {
    const { host, port } = node;
    const client = await RespClient.connect({ host, port, timeoutMs: REPLY_TIMEOUT_MS });
    try {
      for (let n = 1; !this.#stopping && this.failures.length === 0; n++) {
        const startedAt = performance.now();
        for (const step of singles(prefix, n)) await this.#ask(client, [step]);
        await this.#ask(client, pipeline(prefix, n));
        this.longestWaitMs = Math.max(this.longestWaitMs, performance.now() - startedAt);
      }
    } catch (error) {
      this.failures.push(`${prefix} on ${node.id}: ${String(error)}`);
    } finally {
      await client.close();
    }
  }

  async #ask(client: RespClient, steps: readonly Step[]): Promise<void> {
    const replies = await client.pipeline(steps.map(({ command }) => [...command]));
    this.replies += replies.length;
    for (const [i, { raw }] of replies.entries()) {
      const { command, reply } = steps[i]!;
      if (raw !== reply) this.failures.push(`${command.join(' ')}: ${raw} instead of ${reply}`);
    }
  }
}

const OK = '+OK\r\n';
const integer = (value: number): string => `:${value}\r\n`;
const bulk = (value: number): string => `$${String(value).length}\r\n${value}\r\n`;

function singles(prefix: string, n: number): Step[] {
  return [
    { command: ['INCR', `${prefix}:count`], reply: integer(n) },
    { command: ['GET', `${prefix}:count`], reply: bulk(n) },
    { command: ['MSET', `${prefix}:x`, String(n), `${prefix}:y`, String(n)], reply: OK },
    { command: ['MGET', `${prefix}:x`, `${prefix}:y`], reply: `*2\r\n${bulk(n)}${bulk(n)}` },
  ];
}

function pipeline(prefix: string, n: number): Step[] {
  const value = String(n);
  return [
    { command: ['SET', `${prefix}:a`, value], reply: OK },
    { command: ['GET', `${prefix}:a`], reply: bulk(n) },
    { command: ['INCRBY', `${prefix}:b`, '2'], reply: integer(2 * n) },
    { command: ['SET', `${prefix}:from`, value], reply: OK },
    { command: ['RENAME', `${prefix}:from`, `${prefix}:to`], reply: OK },
    { command: ['GET', `${prefix}:to`], reply: bulk(n) },
    { command: ['EXISTS', `${prefix}:from`, `${prefix}:to`, `${prefix}:a`], reply: integer(2) },
    { command: ['DEL', `${prefix}:to`, `${prefix}:from`], reply: integer(1) },
  ];
}
