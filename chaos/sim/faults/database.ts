/** What happens to the modelled PostgreSQL and to the sessions with it. */
import type { Content } from '../database/tables.ts';
import type { Ground, SimFault } from '../ground.ts';
import type { SeededRandom } from '../random.ts';

/** On the server as a whole: one at a time. */
function onServer(
  name: string,
  act: (ground: Ground, random: SeededRandom) => Promise<void>,
): SimFault {
  return {
    name,
    async inject(ground, random) {
      if (ground.databaseTaken) return;
      ground.databaseTaken = true;
      await act(ground, random);
      ground.databaseTaken = false;
    },
  };
}

/** kill -9 and a start; in some crashes the last renewals of everybody are gone. */
const crash = onServer('database-crash', async (ground, random) => {
  const { database } = ground.sim;
  ground.say('the database crashes');
  database.crash();
  if (random.chance(0.5)) database.loseRenewals(1 + random.below(10));
  await ground.sleep(random.chance(0.5) ? random.between(0, 1500) : random.between(1500, 6000));
  ground.say('the database is back');
  database.restart();
});

/** A standby takes over that has every commit, as a synchronous one has. */
const failover = onServer('database-failover', async (ground, random) => {
  const { database } = ground.sim;
  ground.say('the database is lost');
  const content = database.snapshot();
  database.crash();
  await takeOver(ground, random, content);
});

/** A standby takes over that lacks the newest commits: for the nodes, time has gone back. */
const lossyFailover: SimFault = {
  ...onServer('database-loses-commits', async (ground, random) => {
    const { database } = ground.sim;
    ground.say('the standby hears of nothing any more');
    const content = database.snapshot();
    await ground.sleep(random.chance(0.5) ? random.between(1, 100) : random.between(100, 3000));
    ground.say('the database is lost');
    database.crash();
    ground.lostCommits.push({ content, atMs: ground.sim.time.monotonicMs() });
    await takeOver(ground, random, content);
  }),
  breaks: ['elements', 'sums', 'program-order'],
};

async function takeOver(ground: Ground, random: SeededRandom, content: Content): Promise<void> {
  const { database } = ground.sim;
  ground.endanger(ground.nodes, Infinity);
  await ground.sleep(random.chance(0.5) ? random.between(0, 300) : random.between(300, 5000));
  ground.say('the standby takes over');
  database.failOver(content);
  await ground.sleep(random.between(0, 2000));
}

const hang = onServer('database-hang', async (ground, random) => {
  const { host } = ground.sim.database;
  ground.say('the database hangs');
  host.pause();
  await ground.sleep(random.between(100, 4000));
  ground.say('the database goes on');
  host.wake();
});

/** A disk that takes its time: commits come late, whoever waits for them may be gone. */
const slowDisk = onServer('slow-disk', async (ground, random) => {
  const { database } = ground.sim;
  const { flushMs } = database;
  ground.endanger(ground.nodes, Infinity);
  const slowest = random.between(20, 900);
  ground.say(`commits take up to ${slowest.toFixed(0)} ms`);
  database.flushMs = () => random.float() ** 2 * slowest;
  await ground.sleep(random.between(300, 5000));
  ground.say('commits are as fast as ever');
  database.flushMs = flushMs;
});

/** A full disk: some batches are refused for their data. */
const refusals = onServer('refused-rows', async (ground, random) => {
  const { database } = ground.sim;
  const odds = random.between(0.05, 1);
  ground.say(`the database refuses ${(odds * 100).toFixed(0)} % of the batches`);
  database.refuse = () => (random.chance(odds) ? 'no space left on device' : null);
  await ground.sleep(random.between(100, 3000));
  ground.say('the database refuses nothing any more');
  database.refuse = () => null;
});

/** Somebody's transaction holds a row that a lane needs, until it ends or is terminated. */
const heldLock: SimFault = {
  name: 'held-lock',
  async inject(ground, random) {
    const lanes = ground.sim.database.laneKeys();
    if (lanes.length === 0) return;
    const key = random.pick(lanes);
    ground.say(`somebody locks ${key}`);
    const release = ground.sim.database.lock(key);
    await ground.sleep(random.between(50, 4000));
    ground.say(`${key} is free`);
    release();
  },
};

/**
 * The connection of a lane dies while a batch is under way: before it arrives, while it holds its locks,
 * or after it is committed; the backend may commit it later.
 */
const lostLane: SimFault = {
  name: 'lost-lane',
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    const { database } = ground.sim;
    const holds = random.chance(0.6);
    if (holds) database.holdCommits(node);
    await ground.sleep(random.between(0, 60));
    ground.say(`the lane of ${node} breaks${holds ? ', its backend lives on' : ''}`);
    database.breakLane(node);
    await ground.sleep(random.between(0, 1500));
    database.releaseCommits(node);
  },
};

/** Batches of a node are long on the way: when they arrive, another view may have come. */
const lateBatches: SimFault = {
  name: 'late-batches',
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    ground.endanger([node], Infinity);
    ground.say(`batches of ${node} are late`);
    ground.sim.database.holdBatches(node);
    await ground.sleep(random.between(50, 2500));
    ground.say(`batches of ${node} arrive`);
    ground.sim.database.releaseBatches(node);
  },
};

/** One session of a node gets no answers, while its others work. */
const halfCut: SimFault = {
  name: 'half-cut',
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    const role = random.pick(ground.sessions);
    ground.endanger([node], Infinity);
    ground.say(`the database does not answer the ${role} session of ${node}`);
    ground.sim.database.cutSession(node, role);
    await ground.sleep(random.between(200, 4000));
    ground.say(`the database answers the ${role} session of ${node}`);
    ground.sim.database.healSession(node, role);
  },
};

/** Answers come late: what they say may be over. */
const lateAnswers: SimFault = {
  name: 'late-answers',
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    const role = random.pick(ground.sessions);
    ground.endanger([node], Infinity);
    ground.say(`answers to the ${role} session of ${node} are late`);
    ground.sim.database.holdAnswers(node, role);
    await ground.sleep(random.between(100, 2500));
    ground.say(`answers to the ${role} session of ${node} arrive`);
    ground.sim.database.releaseAnswers(node, role);
  },
};

export const DATABASE_FAULTS: readonly SimFault[] = [
  crash,
  failover,
  lossyFailover,
  hang,
  slowDisk,
  refusals,
  heldLock,
  lostLane,
  lateBatches,
  halfCut,
  lateAnswers,
];
