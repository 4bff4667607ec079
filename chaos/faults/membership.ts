/** Nodes that come and go in order: changes an operator makes, which no client should notice. */
import { ChaosClient } from '../client.ts';
import { type Host, type NodeAddress, type Target, untilReady } from '../target.ts';
import { always, type Fault, LONG_MS, pause, whileBroken } from './fault.ts';

const LEFT_WITHIN_MS = 60_000;
const POLL_MS = 200;

export const rollingRestart: Fault = {
  name: 'rolling-restart',
  summary: 'an orderly stop and start of every node, one after the other is ready again',
  part: 'everything',
  nodes: 0,
  whyNot: always,
  async inject({ target, say }) {
    say('restarting one node after the other');
    for (const { name } of target.nodes) {
      await whileBroken(
        () => target.start(name),
        () => target.stop(name),
      );
      await untilReady(target.nodes);
    }
    say('all were restarted');
  },
};

export const join: Fault = {
  name: 'join',
  summary: 'one more node joins, serves for a while, and leaves as planned',
  part: 'everything',
  nodes: 0,
  whyNot: ({ spare }) => (spare === undefined ? 'it has no node to spare' : undefined),
  async inject({ target, say }) {
    const spare = target.spare!;
    say(`${spare.name} joins`);
    await whileBroken(
      () => target.stop(spare.name),
      async () => {
        await target.start(spare.name);
        await untilReady([spare]);
        say(`${spare.name} has joined`);
        await pause(LONG_MS);
        await leave(target, spare.name, target.nodes[0]!);
      },
    );
    say(`${spare.name} has left and was stopped`);
  },
};

export const plannedLeave: Fault = {
  name: 'leave',
  summary: 'a node leaves as planned, is stopped, and joins again',
  part: 'everything',
  nodes: 1,
  whyNot: always,
  async inject({ target, say, pickNode }) {
    const node = pickNode();
    const other = target.nodes.find(({ name }) => name !== node)!;
    say(`${node} leaves`);
    await whileBroken(
      () => target.start(node),
      async () => {
        await leave(target, node, other);
        await target.stop(node);
        await pause(LONG_MS);
      },
    );
    say(`${node} was started again`);
  },
};

/** Resolves when the node owns nothing any more, as another one sees it. */
async function leave(target: Target, node: Host, witness: NodeAddress): Promise<void> {
  const client = new ChaosClient([witness], 0);
  const deadline = performance.now() + LEFT_WITHIN_MS;
  try {
    for (;;) {
      // Asked for again where it was refused: what it names is an end, not a step.
      const { outcome, reply } = await client.run('CLUSTER', 'LEAVE', node);
      if (outcome === 'ok' && (await hasLeft(client, node))) return;
      if (performance.now() > deadline) {
        throw new Error(`${node} does not leave ${target.name}: ${String(reply)}`);
      }
      await pause(POLL_MS);
    }
  } finally {
    client.close();
  }
}

interface Status {
  readonly moving: boolean;
  readonly nodes: readonly { readonly name: string; readonly ownedSlots: number }[];
}

async function hasLeft(client: ChaosClient, node: Host): Promise<boolean> {
  const { outcome, reply } = await client.run('CLUSTER', 'STATUS');
  if (outcome !== 'ok') return false;
  const { moving, nodes } = JSON.parse(reply as string) as Status;
  return !moving && (nodes.find(({ name }) => name === node)?.ownedSlots ?? 0) === 0;
}
