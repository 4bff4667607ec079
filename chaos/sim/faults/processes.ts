/** What happens to the process of a node, or to its machine. */
import type { Ground, SimFault } from '../ground.ts';
import type { SeededRandom } from '../random.ts';

/** On one node that no other fault has, which may not answer in time meanwhile, and costs it so many lives. */
export function onOneNode(
  name: string,
  act: (ground: Ground, random: SeededRandom, node: string) => Promise<void>,
  lives = 1,
): SimFault {
  return {
    name,
    confined: true,
    async inject(ground, random) {
      const node = ground.take(random);
      if (node === undefined) return;
      ground.disturb(node);
      ground.endanger([node], lives);
      await act(ground, random, node);
      ground.calm(node);
      ground.release(node);
    },
  };
}

const kill = onOneNode('kill', async (ground, random, node) => {
  ground.kill(node, { silent: random.chance(0.2) });
  await ground.sleep(random.between(0, 5000));
  ground.start(node);
});

/** The new process is there before anybody has missed the old one. */
const restartAtOnce = onOneNode('restart-at-once', async (ground, random, node) => {
  ground.kill(node);
  await ground.sleep(random.between(0, 30));
  ground.start(node);
});

/** SIGSTOP, and a new process of the same name meanwhile (or none); then the old one wakes. */
const replaceWhilePaused = onOneNode(
  'replace-while-paused',
  async (ground, random, node) => {
    const old = ground.sim.node(node).host;
    ground.say(`pause ${node}, and start another one in its place`);
    old.pause();
    await ground.sleep(random.between(0, 3000));
    ground.start(node);
    await ground.sleep(random.between(0, 4000));
    ground.say(`wake the replaced ${node}`);
    // Who dials it reaches the new one: a link that works one way, and either side of it may go.
    ground.endanger(ground.nodes);
    old.wake();
    await ground.sleep(random.between(500, 3000));
    ground.sim.network.killHost(old);
  },
  2,
);

async function paused(ground: Ground, node: string, ms: number): Promise<void> {
  const { host } = ground.sim.node(node);
  ground.say(`pause ${node} for ${ms.toFixed(0)} ms`);
  host.pause();
  await ground.sleep(ms);
  ground.say(`wake ${node}`);
  host.wake();
}

const pauseShort = onOneNode('pause-short', (ground, random, node) =>
  paused(ground, node, random.between(50, 1400)),
);

/** Around the end of a lease, where it matters most, and far beyond. */
const pauseLong = onOneNode('pause-long', (ground, random, node) =>
  paused(
    ground,
    node,
    random.chance(0.5) ? random.between(1300, 2200) : random.between(2000, 6000),
  ),
);

/** Never gone for long, and never quite there. */
const slow = onOneNode(
  'slow',
  async (ground, random, node) => {
    const { host } = ground.sim.node(node);
    ground.say(`slow ${node}`);
    const untilMs = ground.sim.time.monotonicMs() + random.between(500, 5000);
    while (ground.sim.time.monotonicMs() < untilMs) {
      host.pause();
      await ground.sleep(random.between(5, 150));
      host.wake();
      await ground.sleep(random.between(0, 20));
    }
    ground.say(`${node} is as fast as ever`);
  },
  Infinity,
);

const suspend = onOneNode('suspend', async (ground, random, node) => {
  const { host } = ground.sim.node(node);
  ground.say(`suspend the machine of ${node}`);
  host.suspend();
  await ground.sleep(random.between(200, 8000));
  ground.say(`resume the machine of ${node}`);
  host.resume();
});

const leave = onOneNode('stop-and-start', async (ground, random, node) => {
  await ground.stop(node);
  await ground.sleep(random.between(0, 3000));
  ground.start(node);
});

const killAll: SimFault = {
  name: 'kill-all',
  async inject(ground, random) {
    const taken: string[] = [];
    for (let node = ground.take(random); node !== undefined; node = ground.take(random)) {
      taken.push(node);
      ground.disturb(node);
      ground.endanger([node]);
      ground.kill(node, { silent: random.chance(0.2) });
      if (random.chance(0.3)) await ground.sleep(random.between(0, 50));
    }
    await ground.sleep(random.between(0, 3000));
    for (const node of taken) {
      ground.start(node);
      ground.calm(node);
      ground.release(node);
      if (random.chance(0.3)) await ground.sleep(random.between(0, 500));
    }
  },
};

const join: SimFault = {
  name: 'join',
  harmless: true,
  async inject(ground, random) {
    if (ground.join() === undefined) return;
    await ground.sleep(random.between(0, 2000));
  },
};

export const PROCESS_FAULTS: readonly SimFault[] = [
  kill,
  restartAtOnce,
  replaceWhilePaused,
  pauseShort,
  pauseLong,
  slow,
  suspend,
  leave,
  killAll,
  join,
];
