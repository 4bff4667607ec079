/** Flags of `npm run bench`. */
import {
  type FlagSpec,
  flagHelp,
  integerFlag,
  type ParsedFlags,
  parseFlags,
  UsageError,
} from '../../src/cli/flags.ts';
import { findOption } from '../../src/config/options.ts';
import type { Durations } from './rounds.ts';
import { SCALING_SCENARIOS, SCENARIOS, type Scenario } from './scenarios.ts';

const PORT_DEFAULT = 27_000;
const SYNC_DELAY_MS_MAX = 100;

const FLAGS: readonly FlagSpec[] = [
  { name: 'quick', help: 'short rounds and a tenth of the keys: a rough answer' },
  { name: 'only', value: 'A,B', help: 'some scenarios; --list tells which there are' },
  { name: 'list', help: 'print the scenarios with their goals, and end' },
  { name: 'scaling', help: 'the same work for 3, 5, 7 and 9 nodes instead of the comparison' },
  {
    name: 'compare',
    value: 'REF',
    help: 'processor time an operation, this checkout against a commit',
  },
  { name: 'page', help: 'only write the page and the tables anew from the saved results' },
  { name: 'rounds', value: 'N', help: 'rounds of each side (5; with --quick 3)' },
  {
    name: 'sync-delay',
    value: 'MS',
    help: "make each flush of PostgreSQL's log this much longer: a slower disk",
  },
  { name: 'floor-check', help: 'exit code 1 when a floor is missed' },
  {
    name: 'cpu-profile',
    value: 'DIR',
    help: "profile the nodes into DIR, and print what's on top",
  },
  { name: 'no-save', help: 'write no files into bench/results' },
  { name: 'port', value: 'PORT', help: `first port to look for free ones (${PORT_DEFAULT})` },
  { name: 'help', help: 'this text' },
];

export type Mode = 'help' | 'list' | 'page' | 'compare' | 'measure';

export interface BenchOptions {
  readonly mode: Mode;
  readonly scenarios: readonly Scenario[];
  readonly durations: Durations;
  /** Share of the keys of scenarios with millions of them, 0 to 1. */
  readonly keysShare: number;
  /** What `compare` compares with. */
  readonly compareWith: string;
  /** For scenarios that have none of their own. */
  readonly syncDelayMs: number;
  readonly floorCheck: boolean;
  readonly cpuProfileDir: string | undefined;
  readonly save: boolean;
  readonly port: number;
  /** Options of nodes, as they were given. */
  readonly nodeFlags: readonly string[];
}

export function usage(): string {
  return [
    'Usage: npm run bench -- [flags]',
    '',
    'Starts clusters and what they are compared with on this machine, measures them in turn, prints',
    'ratios and writes them to bench/results. Needs redis-server and redis-benchmark.',
    '',
    flagHelp(FLAGS),
    '',
    'Options of nodes (docs/configuration.md) are flags too: --lane-pipeline 3.',
  ].join('\n');
}

/** Throws a UsageError that names the flag at fault. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const flags = parseFlags(argv, FLAGS);
  const word = flags.words[0];
  if (word !== undefined) throw new UsageError(`not understood: '${word}'`);
  for (const text of flags.unknown.filter((flag) => flag.startsWith('--'))) {
    if (findOption(text.slice(2).split('=')[0] ?? '') === undefined) {
      throw new UsageError(`there is no flag and no option of nodes '${text}'`);
    }
  }
  const quick = flags.values.has('quick');
  const scaling = flags.values.has('scaling');
  return {
    mode: modeOf(flags),
    scenarios: chooseScenarios(scaling ? SCALING_SCENARIOS : SCENARIOS, flags.values.get('only')),
    durations: {
      rounds: integerFlag(flags, 'rounds', { min: 1, max: 100, fallback: quick ? 3 : 5 }),
      roundSeconds: quick ? 1.5 : 4,
      warmUpSeconds: quick ? 4 : 10,
    },
    keysShare: quick ? 0.1 : 1,
    compareWith: flags.values.get('compare') ?? '',
    syncDelayMs: syncDelay(flags.values.get('sync-delay')),
    floorCheck: flags.values.has('floor-check'),
    cpuProfileDir: flags.values.get('cpu-profile'),
    save: !flags.values.has('no-save'),
    port: integerFlag(flags, 'port', { min: 1, max: 65_000, fallback: PORT_DEFAULT }),
    nodeFlags: flags.unknown,
  };
}

function modeOf({ values }: ParsedFlags): Mode {
  const modes = (['help', 'list', 'page', 'compare'] as const).filter((mode) => values.has(mode));
  return modes[0] ?? 'measure';
}

/** Fractions too: `0.5`. */
function syncDelay(text: string | undefined): number {
  if (text === undefined) return 0;
  const ms = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || ms > SYNC_DELAY_MS_MAX) {
    throw new UsageError(
      `--sync-delay must be milliseconds from 0 to ${SYNC_DELAY_MS_MAX}, not '${text}'`,
    );
  }
  return ms;
}

function chooseScenarios(from: readonly Scenario[], only: string | undefined): readonly Scenario[] {
  if (only === undefined) return from;
  const ids = only.split(',');
  for (const id of ids) {
    if (!from.some((scenario) => scenario.id === id)) {
      throw new UsageError(
        `--only: there is no '${id}', only ${from.map((scenario) => scenario.id).join(', ')}`,
      );
    }
  }
  return from.filter(({ id }) => ids.includes(id));
}
