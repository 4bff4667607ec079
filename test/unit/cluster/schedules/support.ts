/** What the forced schedules have in common. */
import { expect, test } from 'vitest';
import { Sim, type SimOptions } from '../../../../chaos/sim/cluster.ts';
import { slotOf } from '../../../../src/cluster/slot.ts';
import { place } from '../../../../src/cluster/view.ts';
import type { Entry } from '../../../../src/storage/memory/entry.ts';
import type { Member, View } from '../../../../src/storage/postgres/store.ts';
import type { RowName } from '../../../../chaos/sim/rules/rows.ts';

/** A test of one row of the table of schedules; its title is the row's name and the outcome. */
export function schedule(row: RowName, outcome: string, run: () => Promise<void>): void {
  test(`${row}: ${outcome}`, run);
}

/** Three nodes, each of which owns every slot; one key of each primary. */
export async function threeNodes(
  options: SimOptions = {},
): Promise<{ sim: Sim; onA: string; onB: string; onC: string }> {
  const sim = new Sim(options);
  await sim.startAll('a', 'b', 'c');
  return { sim, onA: sim.keyOn('a'), onB: sim.keyOn('b'), onC: sim.keyOn('c') };
}

/** Looks at a promise without waiting for it. */
export function track<T>(promise: Promise<T>): {
  readonly done: boolean;
  readonly value: T | undefined;
} {
  const state: { done: boolean; value: T | undefined } = { done: false, value: undefined };
  void promise.then((value) => {
    state.done = true;
    state.value = value;
  });
  return state;
}

/** What a node's memory has of a key. */
export function inMemory(sim: Sim, node: string, key: string): Entry | undefined {
  return sim.node(node).life.keyspace.find(slotOf(key), 0, key);
}

/** The node's memory loses a key, as by eviction. */
export function evict(sim: Sim, node: string, key: string): void {
  const { keyspace, slots } = sim.node(node).life;
  keyspace.remove(slotOf(key), 0, key);
  slots.setComplete(slotOf(key), false);
}

/** Expects the same reply of all these nodes. */
export async function expectEverywhere(
  sim: Sim,
  nodes: readonly string[],
  command: readonly string[],
  reply: string,
): Promise<void> {
  for (const name of nodes) {
    expect(await sim.wait(sim.client(name).send(...command)), `on ${name}`).toBe(reply);
  }
}

/** Waits until the database has a batch that it was told to hold. */
export async function batchHeld(sim: Sim): Promise<void> {
  await sim.until(() => sim.database.heldBatches > 0, 200, 'a batch is held');
}

/** Waits until a node's lease has just been prolonged, so that it runs for long. */
export async function justRenewed(sim: Sim, node: string): Promise<void> {
  const { lease } = sim.node(node).life;
  const before = lease.untilMs;
  await sim.until(() => lease.untilMs > before, 1000, `${node} renews its lease`);
}

/** Cuts a node off from the other nodes and from the database. */
export function isolate(sim: Sim, node: string): void {
  sim.database.unreachableFor.add(node);
  for (const other of sim.nodes.keys()) if (other !== node) sim.network.cut(node, other);
}

/** A view with these lists, following the newest one. Nothing is decided by it. */
function viewAfter(sim: Sim, settled: readonly string[], coming: readonly string[]): View {
  const newest = sim.database.views.at(-1)!;
  const memberOf = (name: string): Member => sim.node(name).life.self;
  return {
    ...newest,
    epoch: newest.epoch + 1,
    previous: newest.epoch,
    id: `forced-${newest.epoch + 1}`,
    settled: settled.map(memberOf),
    removed: [],
    coming: coming.map(memberOf),
  };
}

/** Makes a view true in the database, as a node would, and lets these nodes hear of it. */
export function forceView(
  sim: Sim,
  lists: { settled: readonly string[]; coming: readonly string[]; heardBy: readonly string[] },
): void {
  const view = viewAfter(sim, lists.settled, lists.coming);
  sim.database.propose({ view, removals: [] });
  for (const name of lists.heardBy) sim.node(name).life.membership.hearOf(view.epoch);
}

/**
 * A key with these owners under each of the lists, primary first. Throws when the ring has none.
 */
export function keyOwnedBy(
  sim: Sim,
  wanted: readonly { readonly settled: readonly string[]; readonly owners: readonly string[] }[],
  prefix = 'k',
): string {
  const placements = wanted.map(({ settled }) => place(viewAfter(sim, settled, settled)));
  for (let i = 0; i < 50_000; i++) {
    const key = `${prefix}${i}`;
    const fits = wanted.every(({ owners }, n) => {
      const found = placements[n]![slotOf(key)]!.owners.map(({ node }) => node);
      return owners.every((name, at) => found[at] === name);
    });
    if (fits) return key;
  }
  throw new Error('the ring has no such slot');
}
