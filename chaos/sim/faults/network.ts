/** Cuts of every shape, delays, and connections that break. */
import type { Ground, SimFault } from '../ground.ts';
import { DATABASE } from '../ground.ts';
import type { SeededRandom } from '../random.ts';

/** Who was in trouble within this time may have been removed, and not be back, milliseconds. */
const OUT_MS = 10_000;

interface Cut {
  readonly pairs: readonly (readonly [string, string])[];
  readonly oneWay: boolean;
  /** Nodes that may be removed for it, and how many times in all. */
  readonly endangers: readonly string[];
  readonly lives: number;
}

/** Some pairs are cut, both ways or one way, and healed again. */
async function cut(
  ground: Ground,
  random: SeededRandom,
  { pairs, oneWay, endangers, lives }: Cut,
): Promise<void> {
  const { network } = ground.sim;
  // Who goes is decided by all links together: where several are cut, it may be anybody.
  if (ground.cuts > 0) ground.endanger(ground.nodes, Infinity);
  else ground.endanger(endangers, lives);
  ground.cuts++;
  const what = pairs.map(([a, b]) => `${a}${oneWay ? '>' : '-'}${b}`).join(' ');
  ground.say(`cut ${what}`);
  for (const [a, b] of pairs) {
    if (oneWay) network.cutOneWay(a, b);
    else network.cut(a, b);
  }
  // Some systems give their connections up meanwhile, others wait.
  if (random.chance(0.3)) for (const [a, b] of pairs) network.breakUnnoticed(a, b);
  await ground.sleep(random.between(100, 6000));
  ground.say(`heal ${what}`);
  for (const [a, b] of pairs) network.heal(a, b);
  ground.cuts--;
}

function pairsOf(left: readonly string[], right: readonly string[]): [string, string][] {
  return left.flatMap((a) => right.map((b): [string, string] => [a, b]));
}

/** Two groups that do not see each other; the database is with the first, with the second, or with both. */
const partition: SimFault = {
  name: 'partition',
  async inject(ground, random) {
    const shuffled = random.shuffled(ground.nodes);
    const at = 1 + random.below(Math.max(1, shuffled.length - 1));
    const [left, right] = [shuffled.slice(0, at), shuffled.slice(at)];
    const withDatabase = random.below(3);
    const lonely = withDatabase === 0 ? left : withDatabase === 1 ? right : [];
    const pairs = [...pairsOf(left, right), ...pairsOf(lonely, [DATABASE])];
    const endangers = ground.nodes;
    await cut(ground, random, { pairs, oneWay: random.chance(0.3), endangers, lives: Infinity });
  },
};

/** Some of the nodes see neither the others nor the database. */
function shutOut(name: string, sizeOf: (nodes: number, random: SeededRandom) => number): SimFault {
  return {
    name,
    inject(ground, random) {
      const shuffled = random.shuffled(ground.nodes);
      const size = sizeOf(shuffled.length, random);
      const [out, rest] = [shuffled.slice(0, size), shuffled.slice(size)];
      const pairs = [...pairsOf(out, rest), ...pairsOf(out, [DATABASE])];
      return cut(ground, random, { pairs, oneWay: false, endangers: out, lives: Infinity });
    },
  };
}

/** Fewer than half of the nodes. */
const minority = shutOut(
  'minority',
  (nodes, random) => 1 + random.below(Math.max(1, Math.ceil(nodes / 2) - 1)),
);

/** More than half of them, and not all. */
const majority = shutOut('majority', (nodes, random) => {
  const least = Math.floor(nodes / 2) + 1;
  return Math.min(nodes - 1, least + random.below(Math.max(1, nodes - least)));
});

/** A node that sees the database, and none of the others (or they do not see it). */
const stuck: SimFault = {
  name: 'cut-from-nodes',
  confined: true,
  inject(ground, random) {
    const [node, ...others] = random.shuffled(ground.nodes);
    if (node === undefined) return Promise.resolve();
    const out = random.chance(0.5);
    const pairs = out ? pairsOf([node], others) : pairsOf(others, [node]);
    // Of two nodes, either may be the one that goes; others may be out of the cluster for their own reasons.
    const isIn = (other: string): boolean =>
      ground.isCalmSince(other, ground.sim.time.monotonicMs() - OUT_MS);
    const endangers = others.filter(isIn).length > 1 ? [node] : ground.nodes;
    return cut(ground, random, { pairs, oneWay: random.chance(0.3), endangers, lives: 1 });
  },
};

const oneLink: SimFault = {
  name: 'one-link',
  confined: true,
  inject(ground, random) {
    const [a, b] = random.shuffled(ground.nodes);
    if (a === undefined || b === undefined) return Promise.resolve();
    const pair = [a, b] as const;
    const oneWay = random.chance(0.5);
    return cut(ground, random, { pairs: [pair], oneWay, endangers: pair, lives: 1 });
  },
};

const fromDatabase: SimFault = {
  name: 'cut-from-database',
  inject(ground, random) {
    const some = random.shuffled(ground.nodes).slice(0, 1 + random.below(2));
    const oneWay = random.chance(0.5);
    const pairs = some.map((node): [string, string] =>
      oneWay && random.chance(0.5) ? [DATABASE, node] : [node, DATABASE],
    );
    return cut(ground, random, { pairs, oneWay, endangers: some, lives: Infinity });
  },
};

const fromClients: SimFault = {
  name: 'cut-from-clients',
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    const some = random.shuffled(ground.clients).slice(0, 1 + random.below(ground.clients.length));
    ground.disturb(node);
    const pairs = some.map((client): [string, string] =>
      random.chance(0.5) ? [client, node] : [node, client],
    );
    await cut(ground, random, { pairs, oneWay: random.chance(0.5), endangers: [], lives: 0 });
    ground.calm(node);
  },
};

/** Connections break, of some pairs or of all, once or over and over; also unnoticed by one side. */
const breaks: SimFault = {
  name: 'connections-break',
  async inject(ground, random) {
    for (let left = 1 + random.below(5); left > 0; left--) {
      const [a, b] = random.shuffled([...ground.nodes, DATABASE, ...ground.clients.slice(0, 1)]);
      if (a === undefined || b === undefined) return;
      const noticed = random.chance(0.6);
      ground.say(`break ${a}-${b}${noticed ? '' : `, unnoticed by ${b}`}`);
      if (noticed) ground.sim.network.break(a, b);
      else breakUnnoticed(ground, a, b);
      await ground.sleep(random.between(0, 800));
    }
  },
};

/** A client may wait for an answer that was on its way when the connection broke: nobody can send it. */
function breakUnnoticed(ground: Ground, here: string, there: string): void {
  for (const name of [here, there]) ground.disturb(name);
  ground.sim.network.breakUnnoticed(here, there);
  for (const name of [here, there]) ground.calm(name);
}

const delays: SimFault = {
  name: 'delays',
  async inject(ground, random) {
    const [a, b] = random.shuffled([...ground.nodes, DATABASE]);
    if (a === undefined || b === undefined) return;
    const ms = random.between(5, 400);
    // To the database it is no trouble: a lease has room for it.
    if (a !== DATABASE && b !== DATABASE) ground.endanger([a, b], Infinity);
    ground.say(`what ${a} sends to ${b} takes ${ms.toFixed(0)} ms longer`);
    ground.sim.network.delay(a, b, ms);
    await ground.sleep(random.between(500, 5000));
    ground.say(`what ${a} sends to ${b} is as fast as ever`);
    ground.sim.network.delay(a, b, 0);
  },
};

/** What is on the way on some connections arrives when they have broken and newer ones are in use. */
const lateFrames: SimFault = {
  name: 'late-frames',
  async inject(ground, random) {
    const { network } = ground.sim;
    const [a, b] = random.shuffled(ground.nodes);
    if (a === undefined || b === undefined) return;
    ground.say(`what ${a} sends to ${b} is stuck`);
    network.strand(a, b);
    await ground.sleep(random.between(5, 400));
    ground.say(`the connections of ${a} to ${b} break`);
    network.breakStranded();
    await ground.sleep(random.between(0, 2000));
    ground.say(`what ${a} sent to ${b} arrives`);
    network.arrive();
  },
};

export const NETWORK_FAULTS: readonly SimFault[] = [
  partition,
  minority,
  majority,
  stuck,
  oneLink,
  fromDatabase,
  fromClients,
  breaks,
  delays,
  lateFrames,
];
