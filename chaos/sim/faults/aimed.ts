/**
 * Faults that lead up to one moment and reach into it. Any schedule would meet it as seldom as ever, so they come
 * only where a focus names them.
 */
import { isMoving } from '../../../src/cluster/view.ts';
import type { ReadKind } from '../database/database.ts';
import type { Ground, SimFault } from '../ground.ts';
import type { SeededRandom } from '../random.ts';
import { flush, weigh } from './operators.ts';

/**
 * A view is there that a node has not heard of: the database refuses what it sends from now on. The answer comes when
 * the node has adopted the view, and has begun commands under it.
 */
const refusedLate: SimFault = {
  name: 'refused-late',
  async inject(ground, random) {
    const { database } = ground.sim;
    const node = random.pick(ground.nodes);
    const views = database.views.length;
    const isNew = ground.until(() => database.views.length > views);
    await weigh(ground, random);
    if (!(await isNew)) return;
    ground.endanger([node], Infinity);
    ground.say(`batches of ${node} are late`);
    database.holdBatches(node);
    const { epoch } = database.views.at(-1)!;
    await ground.until(() => ground.sim.node(node).cluster.epoch >= epoch);
    await ground.sleep(random.between(10, 200));
    ground.say(`batches of ${node} arrive`);
    database.releaseBatches(node);
  },
};

/** The next such read of any node sees what is in the table, and is answered when much of that has changed. */
async function lateRead(ground: Ground, random: SeededRandom, kind: ReadKind): Promise<void> {
  const { database } = ground.sim;
  const nodes = [...ground.nodes];
  for (const node of nodes) database.holdReads(node, kind);
  if (await ground.until(() => nodes.some((node) => database.isHeld(`${kind} ${node}`)))) {
    ground.say(`answers to reads (${kind}) are late`);
    await ground.sleep(random.between(50, 900));
    ground.say(`answers to reads (${kind}) arrive`);
  }
  for (const node of nodes) database.releaseReads(node, kind);
}

/** Slots get another primary, which scans the table to know all of them. */
const lateScans: SimFault = {
  name: 'late-scans',
  async inject(ground, random) {
    await weigh(ground, random);
    for (let left = 1 + random.below(3); left > 0; left--) await lateRead(ground, random, 'scan');
  },
};

/** A node asks for rows whose time is over. */
const lateReaper: SimFault = {
  name: 'late-reaper',
  inject: (ground, random) => lateRead(ground, random, 'expired'),
};

/** Slots get another primary, and before it knows all of them they are flushed: it scans while that is under way. */
const scannedFlush: SimFault = {
  ...flush,
  name: 'scanned-flush',
  async inject(ground, random) {
    const { sim } = ground;
    const { database } = sim;
    const nodes = [...ground.nodes];
    await weigh(ground, random);
    await ground.until(() => hasSettled(ground, nodes));
    for (const node of nodes) database.holdCommits(node);
    const flushed = flush.inject(ground, random);
    const isFlushing = (node: string): boolean =>
      sim.node(node).cluster.life?.engine.flushes.underWay === true;
    await ground.until(() => nodes.some(isFlushing));
    for (const node of nodes) database.holdReads(node, 'scan');
    await ground.until(() => nodes.some((node) => database.isHeld(`scan ${node}`)));
    ground.say('there is a scan during a flush');
    const ends = random.shuffled([
      (node: string): void => database.releaseCommits(node),
      (node: string): void => database.releaseReads(node, 'scan'),
    ]);
    for (const end of ends) {
      await ground.sleep(random.between(0, 100));
      nodes.forEach(end);
    }
    await flushed;
  },
};

/** All have heard of a view that hands nothing over. */
function hasSettled({ sim }: Ground, nodes: readonly string[]): boolean {
  const newest = sim.database.views.at(-1)!;
  return !isMoving(newest) && nodes.every((node) => sim.node(node).cluster.epoch === newest.epoch);
}

export const AIMED_FAULTS: readonly SimFault[] = [refusedLate, lateScans, lateReaper, scannedFlush];
