/** What a seed means: how the cluster is set up, what the clients do, and which faults come when. */
import type { Workload } from '../workloads/workload.ts';
import type { SimOptions } from './cluster.ts';
import type { SessionRole } from './database/database.ts';
import { AIMED_FAULTS, SIM_FAULTS } from './faults/index.ts';
import type { SimFault } from './ground.ts';
import type { ClockFaults } from './machine.ts';
import { SeededRandom } from './random.ts';
import { AIMED_WORKLOADS, MEMORY_WORKLOADS, SIM_WORKLOADS } from './workloads.ts';

/** Goes up with every change that makes a seed mean something else. */
export const GENERATOR = 7;

export interface PlannedFault {
  readonly fault: SimFault;
  /** From the beginning of the clients' work, milliseconds. */
  readonly atMs: number;
  readonly random: SeededRandom;
}

/**
 * What the schedules of a search are about: all else is drawn as ever. Part of what a seed means, and plain
 * data, so that it can be sent to another process.
 */
export interface Focus {
  /** Names of the faults that may come; none: nothing breaks. */
  readonly faults?: readonly string[];
  /** Names of the workloads, all of them. */
  readonly workloads?: readonly string[];
  /** The sessions with the database that trouble with a session befalls. */
  readonly sessions?: readonly SessionRole[];
  readonly nodes?: number;
  readonly options?: Partial<SimOptions>;
  readonly pace?: Partial<Pace>;
}

/** How much happens, and how fast everything is. */
export interface Pace {
  readonly clients: number;
  readonly connections: number;
  readonly depth: number;
  readonly pauseMsMax: number;
  /** Longest time between two commands that leave on one connection, milliseconds; 0: they leave at once. */
  readonly gapMsMax: number;
  /** How long the clients work while faults come and go, milliseconds. */
  readonly workMs: number;
  readonly faults: number;
  /** Longest time that a message takes on top of a hop, milliseconds; squared, so that most take less. */
  readonly jitterMs: number;
  /** Longest time of a statement's work, and of a commit, milliseconds. */
  readonly databaseMs: number;
  /** How often what arrives at one moment is one turn of the event loop. */
  readonly sharesTurn: number;
  readonly twoParts: number;
}

export interface Plan {
  readonly seed: number;
  readonly nodes: readonly string[];
  readonly clocks: ReadonlyMap<string, ClockFaults>;
  /** How wrong the database's clock looks to a node, as over a way that is not as long there as back, milliseconds. */
  readonly clockErrorsMs: ReadonlyMap<string, number>;
  readonly options: SimOptions;
  readonly pace: Pace;
  readonly workloads: readonly Workload[];
  readonly faults: readonly PlannedFault[];
  readonly sessions: readonly SessionRole[];
  /** For everything that happens while it runs. */
  readonly random: SeededRandom;
}

/** Drift of clocks, well within what the margin of a lease is for. */
const RATE_MAX = 0.01;
/** With what the ways to the database differ by on top of it, two nodes are within the bound of the options. */
const CLOCK_ERROR_MS_MAX = 15;
const FAULTS_MAX = 6;
const WORKLOADS_MAX = 4;
const SESSIONS: readonly SessionRole[] = ['lane', 'lease', 'control', 'loads'];

/** The schedule of a seed. Throws when the focus names a fault or a workload that is not there. */
export function planOf(seed: number, focus: Focus = {}): Plan {
  const random = new SeededRandom(seed);
  const size = focus.nodes ?? 3 + Math.floor(random.float() ** 2 * 5);
  const nodes = Array.from({ length: size }, (_, i) => `node-${i + 1}`);
  const pace = { ...drawPace(random), ...focus.pace };
  const drawn = {
    seed: random.below(2 ** 32),
    ...drawOptions(random, nodes),
    ...drawLead(seed, focus),
  };
  const options = { ...withMemoryFor(focus.workloads, drawn), ...focus.options };
  const faults = drawFaults(random, pace, focus.faults);
  return {
    seed,
    nodes,
    clocks: new Map(nodes.map((name) => [name, drawClocks(random)])),
    clockErrorsMs: new Map(nodes.map((name) => [name, drawClockError(random)])),
    options,
    pace,
    workloads: drawWorkloads(random, { options, faults }, focus.workloads),
    faults,
    sessions: focus.sessions ?? SESSIONS,
    random,
  };
}

function drawPace(random: SeededRandom): Pace {
  return {
    clients: 2 + random.below(3),
    connections: 1 + random.below(2),
    depth: 1 + random.below(3),
    pauseMsMax: random.pick([30, 80, 200]),
    gapMsMax: 0,
    workMs: random.between(2000, 7000),
    faults: 1 + random.below(FAULTS_MAX),
    jitterMs: random.pick([0.5, 3, 15]),
    databaseMs: random.pick([0.5, 4, 15]),
    sharesTurn: random.pick([0, 0.5, 1]),
    twoParts: random.pick([0, 0.2]),
  };
}

/** Full memory may evict a key that no database has at any moment, so nothing could be said of it. */
function withMemoryFor(workloads: Focus['workloads'], options: SimOptions): SimOptions {
  if (!MEMORY_WORKLOADS.some(({ name }) => workloads?.includes(name))) return options;
  const { maxmemory: _full, ...others } = options;
  return others;
}

/** A few at a time, so that operations on one key meet each other; with one for each fault that needs it. */
function drawWorkloads(
  random: SeededRandom,
  { options, faults }: { options: SimOptions; faults: readonly PlannedFault[] },
  only?: readonly string[],
): readonly Workload[] {
  if (only !== undefined)
    return only.map((name) => named([...SIM_WORKLOADS, ...AIMED_WORKLOADS], name));
  const remembered = SIM_WORKLOADS.filter(
    (workload) => options.maxmemory === undefined || !MEMORY_WORKLOADS.includes(workload),
  );
  const broken = new Set(faults.flatMap(({ fault }) => fault.breaks ?? []));
  const possible = remembered.filter(({ checkers }) => !checkers.some((name) => broken.has(name)));
  const shuffled = random.shuffled(possible);
  const drawn = new Set(shuffled.slice(0, 2 + random.below(WORKLOADS_MAX - 1)));
  for (const { fault } of faults) {
    const { workloads } = fault;
    const needed = shuffled.filter(({ name }) => workloads?.includes(name));
    if (needed.length > 0 && !needed.some((workload) => drawn.has(workload))) drawn.add(needed[0]!);
  }
  return [...drawn];
}

function drawFaults(
  random: SeededRandom,
  { faults, workMs }: Pace,
  only?: readonly string[],
): PlannedFault[] {
  const allowed = only?.map((name) => named([...SIM_FAULTS, ...AIMED_FAULTS], name)) ?? SIM_FAULTS;
  if (allowed.length === 0) return [];
  // Faults of few kinds meet each other more often than all kinds do.
  const kinds = random.shuffled(allowed).slice(0, 1 + random.below(4));
  return Array.from({ length: faults }, () => ({
    fault: random.pick(kinds),
    atMs: random.between(0, workMs * 0.8),
    random: new SeededRandom(random.below(2 ** 32)),
  }));
}

function named<T extends { readonly name: string }>(all: readonly T[], name: string): T {
  const found = all.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no '${name}'; there are: ${all.map((each) => each.name).join(', ')}`);
}

function drawClocks(random: SeededRandom): ClockFaults {
  if (random.chance(0.5)) return { rate: 1, wallOffsetMs: 0 };
  return {
    rate: 1 + random.between(-RATE_MAX, RATE_MAX),
    wallOffsetMs: random.between(-3000, 3000),
  };
}

function drawClockError(random: SeededRandom): number {
  return random.chance(0.5) ? 0 : random.between(-CLOCK_ERROR_MS_MAX, CLOCK_ERROR_MS_MAX);
}

/** Apart from all other draws, so that what was found with a focus is found with it again. */
function drawLead(seed: number, focus: Focus): SimOptions {
  const isLed = Object.keys(focus).length === 0 && new SeededRandom(~seed >>> 0).chance(1 / 3);
  return { primaries: isLed ? 'one' : 'spread' };
}

function drawOptions(random: SeededRandom, nodes: readonly string[]): SimOptions {
  const zones = Object.fromEntries(nodes.map((name, i) => [name, `zone-${i % 2}`]));
  return {
    tokens: random.pick([3, 8, 16]),
    replicas: random.pick([1, 2, 2, 3, 3, 3, 4]),
    leaseMs: random.pick([1500, 1500, 1200]),
    leaseMarginMs: 150,
    storeTimeoutMs: 1000,
    laneWaitMs: 500,
    answerMarginMs: 1000,
    lanePipeline: random.pick([1, 2, 4]),
    batchRowsMax: random.pick([1, 8, 512]),
    warmUp: random.chance(0.5),
    // Served reads may be stale behind a cut, as the option's description says, so they are refused.
    readsWithoutStore: 'refuse',
    ...(random.chance(0.25) ? { zones } : {}),
    ...(random.chance(0.2) ? { maxmemory: 20_000 } : {}),
  };
}
