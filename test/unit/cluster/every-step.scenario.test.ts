/** Commands over several primaries, on a whole cluster in virtual time, with a fault at every single step. */
import { describe, expect, test } from 'vitest';
import type { Sim } from '../../../chaos/sim/cluster.ts';
import { EveryStep, type Fault, LEASE_MS, NAMES } from './every-step.ts';

const others = (name: string): string[] => NAMES.filter((other) => other !== name);

/** At `name`, whenever it is about to get something, or its batch is about to be committed. */
const at =
  (name: string) =>
  (_from: string, to: string): boolean =>
    to === name;
const anywhere = (): boolean => true;
const nothing = (): Promise<void> => Promise.resolve();

const killed = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  strike: (sim) => sim.kill(name),
  async heal(sim) {
    await sim.settle(...others(name));
    sim.startNode(name);
    await sim.settle(...NAMES);
  },
});

const paused = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  strike: (sim) => sim.node(name).host.pause(),
  async heal(sim) {
    await sim.settle(...others(name));
    sim.node(name).host.wake();
    await sim.settle(...NAMES);
  },
});

const stopped = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  strike: (sim) => sim.node(name).host.pause(),
  async heal(sim) {
    await sim.run(LEASE_MS / 3);
    sim.node(name).host.wake();
  },
});

const cutFromDatabase = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  refuses: true,
  strike: (sim) => sim.database.unreachableFor.add(name),
  async heal(sim) {
    await sim.settle(...others(name));
    sim.database.unreachableFor.delete(name);
    await sim.settle(...NAMES);
  },
});

const laneLost = (name: string): Fault => ({
  counts: anywhere,
  lost: [],
  strike: (sim) => sim.database.breakLane(name),
  heal: nothing,
});

/** The link on which a message is just coming breaks; that message, and whatever else is on it, is lost. */
const linkBroken: Fault = {
  counts: (from) => from !== 'database',
  lost: [],
  strike: (sim, { from, to }) => sim.network.break(from, to),
  heal: nothing,
};

/** A link brings nothing for a while, long enough to be given up. */
const linkCut: Fault = {
  counts: (from) => from !== 'database',
  lost: [],
  strike: (sim, { from, to }) => sim.network.cut(from, to),
  async heal(sim: Sim) {
    await sim.run(LEASE_MS / 3);
    for (const a of NAMES) for (const b of NAMES) sim.network.heal(a, b);
  },
};

/** Each command has a leader and participants in both orders, so one of them stands for the others. */
describe('commands over several primaries happen as a whole or not at all', () => {
  test.each([
    ['a link breaks', linkBroken],
    ['a link is cut for a while', linkCut],
    ['a node loses its connection for batches', laneLost('a')],
    ['a node stops for less than a lease', stopped('a')],
    ['a leader or participant is killed', killed('a')],
    ['a replica is killed', killed('c')],
    ['the coordinator is killed', killed('d')],
    ['a leader or participant stops past its lease', paused('b')],
    ['a leader or participant is cut from the database', cutFromDatabase('a')],
  ])('when %s at any step', async (_what, fault) => {
    const run = await EveryStep.start();
    expect(await run.sweep(fault)).toBeGreaterThan(10);
  });
});
