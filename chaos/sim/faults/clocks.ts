/** Wall clocks that somebody sets, on a node or on the database's machine. */
import type { SimFault } from '../ground.ts';

const STEP_MS_MAX = 5000;

const wallClock: SimFault = {
  name: 'wall-clock-steps',
  harmless: true,
  async inject(ground, random) {
    const node = random.pick(ground.nodes);
    const byMs = random.between(-STEP_MS_MAX, STEP_MS_MAX);
    ground.say(`the wall clock of ${node} steps by ${byMs.toFixed(0)} ms`);
    ground.sim.node(node).host.stepWallClock(byMs);
    await ground.sleep(random.between(0, 2000));
  },
};

const databaseClock: SimFault = {
  name: 'database-clock-steps',
  harmless: true,
  async inject(ground, random) {
    const byMs = random.between(-STEP_MS_MAX, STEP_MS_MAX);
    ground.say(`the database's clock steps by ${byMs.toFixed(0)} ms`);
    ground.sim.database.wallOffsetMs += byMs;
    await ground.sleep(random.between(0, 2000));
  },
};

export const CLOCK_FAULTS: readonly SimFault[] = [wallClock, databaseClock];
