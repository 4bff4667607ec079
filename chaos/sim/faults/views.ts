/** Views that come and go, and nodes that do not hear of them. */
import { isMoving } from '../../../src/cluster/view.ts';
import type { Ground, SimFault } from '../ground.ts';

const LOOK_MS = 0.5;

/** A hand-over is on, and the node knows: the view that ends it is the next one. */
async function handOver(ground: Ground, node: string): Promise<void> {
  const { sim } = ground;
  await ground.until(() => {
    const newest = sim.database.views.at(-1)!;
    return isMoving(newest) && sim.node(node).cluster.epoch === newest.epoch;
  });
}

/**
 * A node whose session for views gets no answer, and that loses its links whenever there is news: it renews its
 * lease, and is heard of by everybody, and lives on in an older view than the others. It has handed over what the
 * next view takes from it: else that view would wait for it.
 */
const deaf: SimFault = {
  name: 'deaf',
  async inject(ground, random) {
    const { database, network, time } = ground.sim;
    const node = random.pick(ground.nodes);
    await handOver(ground, node);
    // Of two that wait for each other, either may be the one that goes.
    ground.endanger(ground.nodes, Infinity);
    ground.say(`${node} hears of no view`);
    database.cutSession(node, 'control');
    const untilMs = time.monotonicMs() + random.between(500, 5000);
    let views = database.views.length;
    while (time.monotonicMs() < untilMs) {
      await ground.sleep(LOOK_MS);
      if (database.views.length === views) continue;
      views = database.views.length;
      for (const other of ground.nodes) if (other !== node) network.break(node, other);
    }
    ground.say(`${node} hears of views again`);
    // What it asked meanwhile is not answered late.
    database.breakSession(node, 'control');
    database.healSession(node, 'control');
  },
};

/** A node that joins, gets its share of the slots, and leaves again without handing them over. */
const guest: SimFault = {
  name: 'guest',
  async inject(ground, random) {
    const name = ground.takeNew();
    if (name === undefined) return;
    ground.endanger([name]);
    await ground.sleep(random.between(300, 4000));
    ground.disturb(name);
    await ground.stop(name);
    ground.forget(name);
  },
};

export const VIEW_FAULTS: readonly SimFault[] = [deaf, guest];
