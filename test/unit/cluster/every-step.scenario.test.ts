/** Commands over several primaries, on a whole cluster in virtual time, with a fault at every single step. */
import { describe, expect, test } from 'vitest';
import type { Sim } from '../../../chaos/sim/cluster.ts';
import { type Cast, EveryStep, type Fault, FIXED, LEASE_MS, MIXED } from './every-step.ts';

const others = (name: string): string[] => FIXED.nodes.filter((other) => other !== name);

/** At `name`, whenever it is about to get something, or its batch is about to be committed. */
const at =
  (name: string) =>
  (_from: string, to: string): boolean =>
    to === name;
const anywhere = (): boolean => true;
const betweenNodes = (from: string, to: string): boolean =>
  MIXED.nodes.includes(from) && MIXED.nodes.includes(to);
const nothing = (): Promise<void> => Promise.resolve();

const killed = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  strike: (sim) => sim.kill(name),
  async heal(sim) {
    await sim.settle(...others(name));
    sim.startNode(name);
    await sim.settle(...FIXED.nodes);
  },
});

const paused = (name: string): Fault => ({
  counts: at(name),
  lost: [name],
  strike: (sim) => sim.node(name).host.pause(),
  async heal(sim) {
    await sim.settle(...others(name));
    sim.node(name).host.wake();
    await sim.settle(...FIXED.nodes);
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
    await sim.settle(...FIXED.nodes);
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
  counts: betweenNodes,
  lost: [],
  strike: (sim, { from, to }) => sim.network.break(from, to),
  heal: nothing,
};

/** A link brings nothing for a while, long enough to be given up. */
const linkCut: Fault = {
  counts: betweenNodes,
  lost: [],
  strike: (sim, { from, to }) => sim.network.cut(from, to),
  async heal(sim: Sim) {
    await sim.run(LEASE_MS / 3);
    for (const a of MIXED.nodes) for (const b of MIXED.nodes) sim.network.heal(a, b);
  },
};

const sweep = async (cast: Cast, fault: Fault): Promise<number> =>
  (await EveryStep.start(cast)).sweep(fault);

describe('commands over several primaries happen as a whole or not at all', () => {
  test.each([
    ['a link breaks', linkBroken],
    ['a link is cut for a while', linkCut],
    ['a node loses its connection for batches', laneLost('a')],
    ['a node stops for less than a lease', stopped('a')],
  ])('when %s at any step', async (_what, fault) => {
    expect(await sweep(MIXED, fault)).toBeGreaterThan(30);
  });

  test.each([
    ['the leader is killed', killed('a')],
    ['a participant is killed', killed('b')],
    ['a replica and coordinator is killed', killed('c')],
    ['the leader stops past its lease', paused('a')],
    ['a participant stops past its lease', paused('b')],
    ['the leader is cut from the database', cutFromDatabase('a')],
    ['a participant is cut from the database', cutFromDatabase('b')],
  ])('when %s at any step', async (_what, fault) => {
    expect(await sweep(FIXED, fault)).toBeGreaterThan(5);
  });
});
