/** What operators ask for while everything else happens: nodes that leave by plan, copies, weights. */
import type { Cluster } from '../../../src/cluster/cluster.ts';
import { ReplyError } from '../../../src/errors.ts';
import { CLIENT_PORT } from '../cluster.ts';
import type { Ground, SimFault } from '../ground.ts';
import { Host } from '../machine.ts';
import type { SeededRandom } from '../random.ts';
import { RespClient } from '../resp-client.ts';

/** Longer than a hand-over takes when nothing is in its way, milliseconds. */
const LEAVE_MS_MAX = 6_000;

/** Longer than a node takes to answer, milliseconds. */
const FLUSH_MS_MAX = 9_000;

/** How often whoever asks a node looks whether it still lives, milliseconds. */
const LOOK_MS = 20;

/** Says what became of it: an operator who is refused tries again some other day. */
async function asked(
  ground: Ground,
  { node, what }: { node: string; what: string },
  wish: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const { host, cluster } = ground.sim.node(node);
  if (host.dead || host.stopped) return;
  ground.say(what);
  let answer: string | null = null;
  const asking = wish(cluster).then(
    () => (answer = 'done'),
    (error: unknown) => {
      if (!(error instanceof ReplyError)) throw error;
      answer = error.message;
    },
  );
  // A node that is killed meanwhile never answers.
  const dying = (async () => {
    while (answer === null && !host.dead) await ground.sleep(LOOK_MS);
  })();
  await Promise.race([asking, dying]);
  ground.say(`${what}: ${answer ?? 'the node that was asked is dead'}`);
}

/** Everything is handed over first; then the process is stopped, and another one joins some time later. */
const plannedLeave: SimFault = {
  name: 'planned-leave',
  async inject(ground, random) {
    const node = ground.take(random);
    if (node === undefined) return;
    ground.endanger([node], 2);
    const leaving = asked(ground, { node, what: `${node} leaves` }, (cluster) => cluster.leave());
    await Promise.race([leaving, ground.sleep(LEAVE_MS_MAX)]);
    ground.disturb(node);
    await ground.stop(node);
    await ground.sleep(random.between(0, 2000));
    ground.start(node);
    ground.calm(node);
    ground.release(node);
  },
};

/** One or several changes, asked of any node. */
function changes(
  name: string,
  change: (ground: Ground, random: SeededRandom) => Promise<void>,
): SimFault {
  return {
    name,
    harmless: true,
    async inject(ground, random) {
      for (let left = 1 + random.below(3); left > 0; left--) {
        await change(ground, random);
        await ground.sleep(random.between(0, 1500));
      }
    },
  };
}

const replicas = changes('set-replicas', (ground, random) => {
  const count = 1 + random.below(4);
  const asking = { node: random.pick(ground.nodes), what: `${count} copies of each key` };
  return asked(ground, asking, (cluster) => cluster.grant({ kind: 'replicas', replicas: count }));
});

/** Some node gets more or fewer slots than it had; where one node leads, another one may get its part, or none. */
export function weigh(ground: Ground, random: SeededRandom): Promise<void> {
  const node = random.pick(ground.nodes);
  const tokens = 1 + random.below(24);
  const isLed = typeof ground.sim.database.committedViews.at(-1)?.view.lead === 'string';
  if (isLed && tokens % 3 === 0) return lead(ground, random, tokens % 2 === 0 ? node : null);
  const asking = { node: random.pick(ground.nodes), what: `${tokens} points for ${node}` };
  return asked(ground, asking, (cluster) => cluster.grant({ kind: 'weight', node, tokens }));
}

function lead(ground: Ground, random: SeededRandom, node: string | null): Promise<void> {
  const asking = { node: random.pick(ground.nodes), what: `${node ?? 'nobody'} is to lead` };
  return asked(ground, asking, (cluster) => cluster.grant({ kind: 'lead', node }));
}

const weight = changes('set-weight', weigh);

/** FLUSHALL, or FLUSHDB of the database that everybody uses. */
export const flush: SimFault = {
  name: 'flush',
  // It empties one primary after the other.
  breaks: ['elements', 'all-or-nothing', 'sums', 'program-order'],
  async inject(ground, random) {
    const { sim } = ground;
    const node = random.pick(ground.nodes);
    const command = [random.chance(0.5) ? 'FLUSHALL' : 'FLUSHDB'];
    const at = { node, port: CLIENT_PORT, answerTimeoutMs: FLUSH_MS_MAX };
    const startedAtMs = sim.time.monotonicMs();
    ground.say(`${command[0]} on ${node}`);
    let client: RespClient;
    try {
      const host = new Host('operator', sim.time);
      client = await RespClient.connect({ network: sim.network, host, ...at });
    } catch (error) {
      return ground.say(`no connection to ${node}: ${String(error)}`);
    }
    const { outcome, reply } = await client.send(command);
    client.close();
    ground.say(`${command[0]} on ${node}: ${String(reply)}`);
    // An error may come after some primaries were emptied, and others may follow.
    const endedAtMs = outcome === 'ok' ? sim.time.monotonicMs() : Infinity;
    ground.flushes.push({ startedAtMs, endedAtMs });
  },
};

export const OPERATOR_FAULTS: readonly SimFault[] = [plannedLeave, replicas, weight, flush];
