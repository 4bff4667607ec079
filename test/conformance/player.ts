/**
 * Plays one scenario against one server, or against the nodes of one cluster, and returns what each
 * step was answered, made comparable by its matcher.
 */
import { createHash } from 'node:crypto';
import {
  ConnectionClosed,
  encodeCommand,
  RespClient,
  textOf,
  type RespAddress,
  type RespReply,
} from '../support/resp-client.ts';
import type { Scenario, Step } from './case-file.ts';
import { normalize } from './matchers.ts';

/** A step's line and its answer. */
export type Answer = readonly [line: string, reply: string];

/**
 * Which node a step talks to: `first`: always node 1. `rotate`: each connection has a socket to every
 * node, and each command goes to the next one.
 */
export type Routing = 'first' | 'rotate';

/** Longer replies are recorded as their beginning, length and digest. */
const SHOWN_BYTES_MAX = 600;
const UNTIL_TRIES = 500;
const UNTIL_PAUSE_MS = 20;
const SCAN_STEPS_MAX = 10_000;
/** These change what a connection is, so in `rotate` they go to all nodes. */
const CONNECTION_STATE = /^(select|hello|auth|reset)$/i;

/** Empties the target, plays the scenario on fresh connections, closes them. */
export async function play(
  nodes: readonly RespAddress[],
  scenario: Scenario,
  routing: Routing,
): Promise<Answer[]> {
  const player = new Player(scenario.oneNode || routing === 'first' ? nodes.slice(0, 1) : nodes);
  try {
    await player.flush();
    return await player.run(scenario.steps);
  } finally {
    await player.close();
  }
}

class Player {
  private readonly nodes: readonly RespAddress[];
  private readonly clients = new Map<string, RespClient>();
  private readonly variables = new Map<string, string>();
  private turn = 0;

  constructor(nodes: readonly RespAddress[]) {
    this.nodes = nodes;
  }

  async flush(): Promise<void> {
    const client = await RespClient.connect(this.nodes[0]!);
    const reply = await client.command('FLUSHALL');
    await client.close();
    if (reply.raw !== '+OK\r\n') throw new Error(`FLUSHALL: ${reply.raw}`);
  }

  async run(steps: readonly Step[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let at = 0; at < steps.length; ) {
      const end = endOfPipeline(steps, at);
      if (end > at) {
        answers.push(...(await this.pipeline(steps.slice(at, end))));
        at = end;
      } else {
        const step = steps[at++]!;
        answers.push([step.line, abbreviate(await this.step(step))]);
      }
    }
    return answers;
  }

  async close(): Promise<void> {
    await Promise.all([...this.clients.values()].map((client) => client.close()));
  }

  /** The socket of a connection to a node; opened when first needed, and again after it was closed. */
  private async client(connection: number, node: number): Promise<RespClient> {
    const name = `${connection}/${node}`;
    const known = this.clients.get(name);
    if (known && !known.closed) return known;
    const client = await RespClient.connect(this.nodes[node]!);
    this.clients.set(name, client);
    return client;
  }

  private async pipeline(steps: readonly Step[]): Promise<Answer[]> {
    const client = await this.client(steps[0]!.connection, this.nextNode());
    client.write(steps.map((step) => encodeCommand(this.expandAll(step.args))).join(''));
    const answers: Answer[] = [];
    for (const step of steps) {
      answers.push([step.line, abbreviate(await this.readReply(client, step))]);
    }
    return answers;
  }

  private async step(step: Step): Promise<string> {
    const args = this.expandAll(step.args);
    if (this.nodes.length > 1 && CONNECTION_STATE.test(args[0] ?? ''))
      return this.everywhere(step, args);
    const node = this.nextNode();
    if (step.action.kind === 'closed') return this.closed(step, node);
    const client = await this.client(step.connection, node);
    switch (step.action.kind) {
      case 'command':
      case 'pipelined':
        client.write(encodeCommand(args));
        return this.readReply(client, step);
      case 'silent':
        client.write(encodeCommand(args));
        return '(nothing read)';
      case 'raw':
        client.write(args[0] ?? '');
        return this.readReplies(client, step, step.action.replies);
      case 'close':
        client.write(step.action.raw ? (args[0] ?? '') : encodeCommand(args));
        return readToEnd(client, step);
      case 'until':
        return this.until(client, step, args, step.action.text);
      case 'scan':
        return scan(client, args);
    }
  }

  /** A command about the connection, sent to every node; the last node's reply counts. */
  private async everywhere(step: Step, args: readonly string[]): Promise<string> {
    let reply = '';
    for (let node = 0; node < this.nodes.length; node++) {
      const client = await this.client(step.connection, node);
      client.write(encodeCommand(args));
      reply = await this.readReply(client, step);
    }
    return reply;
  }

  /** What came before the server closed a connection that was open, or was closed just now. */
  private closed(step: Step, node: number): Promise<string> {
    const client = this.clients.get(`${step.connection}/${node}`);
    if (!client) throw new Error(`connection ${step.connection} was never open`);
    return readToEnd(client, step);
  }

  private async readReplies(client: RespClient, step: Step, count: number): Promise<string> {
    let out = '';
    for (let i = 0; i < count; i++) out += await this.readReply(client, step);
    return out;
  }

  private async readReply(client: RespClient, step: Step): Promise<string> {
    try {
      const reply = await client.nextReply();
      return this.show(reply, step);
    } catch (error) {
      if (error instanceof ConnectionClosed) return '(closed)';
      throw new Error(`in step "${step.line}"`, { cause: error });
    }
  }

  private show(reply: RespReply, step: Step): string {
    if (step.matcher?.name === 'save') {
      this.variables.set(step.matcher.argument, textOf(reply.value));
      return `${reply.value.kind} saved as ${step.matcher.argument}`;
    }
    return normalize(reply, step.matcher, this.expand(step.matcher?.argument ?? ''));
  }

  private async until(
    client: RespClient,
    step: Step,
    args: readonly string[],
    text: string,
  ): Promise<string> {
    let reply = await client.command(...args);
    for (let i = 0; i < UNTIL_TRIES && textOf(reply.value) !== text; i++) {
      await new Promise((resolve) => setTimeout(resolve, UNTIL_PAUSE_MS));
      reply = await client.command(...args);
    }
    return this.show(reply, step);
  }

  private nextNode(): number {
    return this.turn++ % this.nodes.length;
  }

  private expandAll(args: readonly string[]): string[] {
    return args.map((arg) => this.expand(arg));
  }

  /** Resolves `${now+10}`, `${nowms-5}`, `${repeat:text:count}`, `${allbytes}` and saved values. */
  private expand(text: string): string {
    if (!text.includes('${')) return text;
    return text.replaceAll(/\$\{([^}]*)\}/g, (whole, name: string) => {
      const time = /^(now|nowms)([+-]\d+)?$/.exec(name);
      if (time) {
        const now = time[1] === 'now' ? Math.floor(Date.now() / 1000) : Date.now();
        return String(now + Number(time[2] ?? 0));
      }
      const repeat = /^repeat:(.*):(\d+)$/s.exec(name);
      if (repeat) return repeat[1]!.repeat(Number(repeat[2]));
      if (name === 'allbytes') return String.fromCharCode(...Array(256).keys());
      const saved = this.variables.get(name);
      if (saved === undefined) throw new Error(`nothing was saved as ${whole}`);
      return saved;
    });
  }
}

/** Index after the run of pipelined steps of one connection that begins at `at`; `at` when there is none. */
function endOfPipeline(steps: readonly Step[], at: number): number {
  let end = at;
  while (
    steps[end]?.action.kind === 'pipelined' &&
    steps[end]?.connection === steps[at]?.connection
  )
    end++;
  return end;
}

async function readToEnd(client: RespClient, step: Step): Promise<string> {
  const replies = await client.repliesUntilClose().catch((error: unknown) => {
    throw new Error(`in step "${step.line}"`, { cause: error });
  });
  return `${replies.map((reply) => normalize(reply, step.matcher, step.matcher?.argument ?? '')).join('')}(closed)`;
}

/** A whole iteration: `SCAN 0 ...` until the cursor is 0 again. An error ends it and is the reply. */
async function scan(client: RespClient, args: readonly string[]): Promise<string> {
  const keys = new Set<string>();
  let cursor = args[1] ?? '0';
  for (let i = 0; i < SCAN_STEPS_MAX; i++) {
    const { raw, value } = await client.command(args[0]!, cursor, ...args.slice(2));
    if (value.kind !== 'array' || value.items.length !== 2) return raw;
    const [next, page] = value.items;
    if (page && 'items' in page) for (const key of page.items) keys.add(textOf(key));
    cursor = textOf(next!);
    if (cursor === '0') return `${keys.size} keys: ${[...keys].sort().join(' ')}`;
  }
  throw new Error(`SCAN did not end in ${SCAN_STEPS_MAX} steps`);
}

function abbreviate(reply: string): string {
  if (reply.length <= SHOWN_BYTES_MAX) return reply;
  const digest = createHash('sha256').update(reply, 'latin1').digest('hex');
  return `${reply.slice(0, 60)}... (${reply.length} bytes, sha256 ${digest})`;
}
