/**
 * What breaks right when a batch is committed: the database has it, and hardly anybody knows. A fault that
 * comes at any time seldom meets that moment, and most of what can go wrong goes wrong there.
 */
import type { Ground, SimFault } from '../ground.ts';
import type { SeededRandom } from '../random.ts';
import { onOneNode } from './processes.ts';

/** Where nothing is written there is no such moment, milliseconds. */
const WAIT_MS_MAX = 2_000;
/** From the commit until its answers and watermarks have arrived, about, milliseconds. */
const MOMENT_MS = 30;

/** Resolves at a commit of the node, or soon after it. */
async function momentOf(ground: Ground, random: SeededRandom, node: string): Promise<void> {
  await Promise.race([ground.sim.database.nextCommit(node), ground.sleep(WAIT_MS_MAX)]);
  if (random.chance(0.6)) await ground.sleep(random.float() ** 2 * MOMENT_MS);
}

const killAtCommit = onOneNode('kill-at-commit', async (ground, random, node) => {
  await momentOf(ground, random, node);
  ground.kill(node, { silent: random.chance(0.2) });
  await ground.sleep(random.between(0, 5000));
  ground.start(node);
});

/** Once or a few times, to some of the other nodes. */
const breakAtCommit: SimFault = {
  name: 'break-at-commit',
  async inject(ground, random) {
    for (let left = 1 + random.below(5); left > 0; left--) {
      const [node, ...others] = random.shuffled(ground.nodes);
      if (node === undefined) return;
      await momentOf(ground, random, node);
      const some = others.slice(0, 1 + random.below(others.length));
      ground.say(`break ${node} from ${some.join(' ')}`);
      for (const other of some) ground.sim.network.break(node, other);
      await ground.sleep(random.between(0, 800));
    }
  },
};

export const MOMENT_FAULTS: readonly SimFault[] = [killAtCommit, breakAtCommit];
