/** Commands over several primaries, on a whole cluster in virtual time, with a fault at every single step. */
import { describe, expect, test } from 'vitest';
import type { Sim } from '../../../chaos/sim/cluster.ts';
import { EveryStep, type Fault, LEASE_MS, NAMES, PRIMARIES } from './every-step.ts';

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

async function sweep(fault: Fault): Promise<void> {
  const run = await EveryStep.start();
  const steps = await run.sweep(fault);
  console.log(expect.getState().currentTestName, steps);
  expect(steps).toBeGreaterThan(3);
}

describe('commands over several primaries happen as a whole or not at all', () => {
  test('when a link breaks at any step', () => sweep(linkBroken));
  test('when a link is cut at any step', () => sweep(linkCut));
  for (const name of PRIMARIES)
    test(`when node ${name} loses its connection for batches at any step`, () => sweep(laneLost(name)));
  for (const name of NAMES)
    test(`when node ${name} stops for less than a lease at any step`, () => sweep(stopped(name)));
  for (const name of NAMES) test(`when node ${name} is killed at any step`, () => sweep(killed(name)));
  for (const name of NAMES)
    test(`when node ${name} stops past its lease at any step`, () => sweep(paused(name)));
  for (const name of PRIMARIES)
    test(`when node ${name} is cut from the database at any step`, () => sweep(cutFromDatabase(name)));
});
