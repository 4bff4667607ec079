/** Flags of `npm run bench`. */
import {
  type FlagSpec,
  flagHelp,
  integerFlag,
  parseFlags,
  UsageError,
} from '../../src/cli/flags.ts';
import { findOption } from '../../src/config/options.ts';
import type { Durations } from './rounds.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const PORT_DEFAULT = 27_000;

const FLAGS: readonly FlagSpec[] = [
  { name: 'quick', help: 'short rounds: a rough answer in a minute or two' },
  { name: 'only', value: 'A,B', help: `some of: ${SCENARIOS.map(({ id }) => id).join(', ')}` },
  { name: 'rounds', value: 'N', help: 'rounds of each side (5; with --quick 3)' },
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

export interface BenchOptions {
  readonly help: boolean;
  readonly scenarios: readonly Scenario[];
  readonly durations: Durations;
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
    'Starts a three-node cluster and what it is compared with on this machine, measures them in turn,',
    'prints ratios and writes them to bench/results. Needs redis-server and redis-benchmark.',
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
  return {
    help: flags.values.has('help'),
    scenarios: chooseScenarios(flags.values.get('only')),
    durations: {
      rounds: integerFlag(flags, 'rounds', { min: 1, max: 100, fallback: quick ? 3 : 5 }),
      roundSeconds: quick ? 1.5 : 4,
      warmUpSeconds: quick ? 1.5 : 3,
    },
    floorCheck: flags.values.has('floor-check'),
    cpuProfileDir: flags.values.get('cpu-profile'),
    save: !flags.values.has('no-save'),
    port: integerFlag(flags, 'port', { min: 1, max: 65_000, fallback: PORT_DEFAULT }),
    nodeFlags: flags.unknown,
  };
}

function chooseScenarios(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return SCENARIOS;
  const ids = only.split(',');
  for (const id of ids) {
    if (!SCENARIOS.some((scenario) => scenario.id === id)) {
      throw new UsageError(
        `--only: there is no '${id}', only ${SCENARIOS.map((scenario) => scenario.id).join(', ')}`,
      );
    }
  }
  return SCENARIOS.filter(({ id }) => ids.includes(id));
}
