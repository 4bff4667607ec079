/**
 * Which faults come when: one after the other, each mended and the cluster whole before the next; or
 * mixed, drawn by a seed, sometimes two at once and sometimes before the last one is digested.
 */
import type { Random } from '../../src/platform/clock.ts';
import { type Fault, type FaultContext, pause } from '../faults/fault.ts';
import type { FaultSpan } from '../history.ts';
import type { Host, Target } from '../target.ts';

/** Load between two faults, milliseconds. */
const CALM_MS = 1500;
const CALM_MIXED_MS_MAX = 4000;
/** How often a mixed schedule breaks a second thing beside the first, or waits until all is well. */
const PAIR_ODDS = 0.3;
const WAIT_ODDS = 0.5;

export interface ScheduleOptions {
  readonly target: Target;
  readonly faults: readonly Fault[];
  readonly mixed: boolean;
  /** Goes on until that long has passed; undefined: each fault once. */
  readonly ms: number | undefined;
  readonly random: Random;
  readonly say: (line: string) => void;
  /** Moments are of `performance.now()`. */
  readonly onSpan: (span: FaultSpan) => void;
  /** Resolves when the cluster is whole again, and what should hold at such a moment was looked at. */
  readonly settle: () => Promise<void>;
}

export async function runSchedule(options: ScheduleOptions): Promise<void> {
  const { faults, mixed, ms = 0 } = options;
  const over = performance.now() + ms;
  await pause(CALM_MS);
  do {
    if (mixed) await oneMixed(options);
    else for (const fault of faults) await oneAlone(fault, options);
  } while (performance.now() < over);
  await options.settle();
}

async function oneAlone(fault: Fault, options: ScheduleOptions): Promise<void> {
  await new Injection(options).run(fault);
  await options.settle();
  await pause(CALM_MS);
}

async function oneMixed(options: ScheduleOptions): Promise<void> {
  const { random } = options;
  const first = draw(options.faults, random);
  const injection = new Injection(options);
  const chosen = [first];
  if (random.float() < PAIR_ODDS) {
    const beside = options.faults.filter((fault) => fitsBeside(fault, first, options.target));
    if (beside.length > 0) chosen.push(draw(beside, random));
  }
  const results = await Promise.allSettled(
    chosen.map(async (fault, i) => {
      if (i > 0) await pause(random.below(1500));
      await injection.run(fault);
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (random.float() < WAIT_ODDS) await options.settle();
  await pause(random.below(CALM_MIXED_MS_MAX));
}

function draw(faults: readonly Fault[], random: Random): Fault {
  return faults[random.below(faults.length)]!;
}

/** Two faults may share nothing but the nodes, and those only while there are enough. */
function fitsBeside(fault: Fault, first: Fault, target: Target): boolean {
  if (fault.part === 'everything' || first.part === 'everything') return false;
  if (fault.part === first.part && fault.part !== 'a node') return false;
  return fault.nodes + first.nodes <= target.nodes.length;
}

/** The faults of one moment: none takes a node that another one has. */
class Injection {
  readonly #options: ScheduleOptions;
  readonly #taken = new Set<Host>();

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  async run(fault: Fault): Promise<void> {
    const { target, random, say, onSpan } = this.#options;
    const said: string[] = [];
    const picked: Host[] = [];
    const context: FaultContext = {
      target,
      random,
      say: (line) => {
        said.push(line);
        say(`${fault.name}: ${line}`);
      },
      pickNode: () => {
        const free = target.nodes.map(({ name }) => name).filter((name) => !this.#taken.has(name));
        if (free.length === 0) throw new Error(`${fault.name}: no node is left to pick`);
        const node = free[random.below(free.length)]!;
        this.#taken.add(node);
        picked.push(node);
        return node;
      },
    };
    const startedAtMs = performance.now();
    try {
      await fault.inject(context);
    } finally {
      for (const node of picked) this.#taken.delete(node);
      const endedAtMs = performance.now();
      onSpan({ name: fault.name, detail: said[0] ?? '', startedAtMs, endedAtMs });
    }
  }
}
