/** docs/schedules.md, from the table of schedules, the tests and the rules that are switched off. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { foundSeeds } from '../../chaos/sim/rules/found.ts';
import { SIMULATED_RULES, STORAGE_RULES } from '../../chaos/sim/rules/index.ts';
import { ROWS, type ScheduleRow } from '../../chaos/sim/rules/rows.ts';
import { nameOf, type Rule } from '../../chaos/sim/rules/rule.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOUND = foundSeeds(ROOT);
const FOLDERS = ['test/unit/cluster/schedules', 'test/integration/storage'];

const INTRO = `# Schedules

Orders of events that break naive versions of this design. Each is a test with its order forced: on a cluster in virtual
time (\`test/unit/cluster/schedules\`), and where PostgreSQL itself keeps the rule, on a real one (\`test/integration/storage\`).
The tests are found by name: \`npx vitest run -t zombie-commit\`.

A test that cannot fail proves nothing. So each rule is also switched off: \`chaos/sim/rules\` replaces its source text in a
temporary copy, and \`test/broken\` expects the test of the row to fail there; it tries every rule in every run.

And nobody knows all schedules beforehand, so the simulator must find them by itself: random schedules of the build
without the rule, with the faults and workloads that the rule is about, until a checker fails. The table of rules has a seed
that does, and what failed: \`npm run sim -- --broken RULE --seed N\` replays it; the same schedule passes with the rule on.
\`npm run sim -- --broken each --record\` measures the table anew, and \`test/sim/broken.test.ts\` replays a share of it.

P is a primary, R a replica, A to C are nodes.
`;

/** Files with a test of this row, relative to the repository. */
export function testsOf(name: string): string[] {
  const title = new RegExp(
    `(?:schedule\\(\\s*'${name}'|(?:it|test|describe)\\('[^']*\\b${name}[:,'])`,
  );
  return FOLDERS.flatMap((folder) =>
    readdirSync(ROOT + folder)
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `${folder}/${file}`)
      .filter((path) => title.test(readFileSync(ROOT + path, 'utf8'))),
  );
}

/** The page. */
export function schedulesPage(): string {
  const rows: readonly ScheduleRow[] = ROWS;
  const waiting = rows.filter(({ waitsFor }) => waitsFor !== undefined);
  return [
    INTRO,
    '| schedule | what happens | what must hold | tests |',
    '|---|---|---|---|',
    ...rows.map(rowLine),
    '',
    'Not (fully) tested yet, because something is not there:',
    '',
    ...waiting.map(({ name, waitsFor }) => `- ${name}: ${waitsFor!}`),
    '',
    '## Rules',
    '',
    '| name | rule that is switched off | found by |',
    '|---|---|---|',
    ...[...SIMULATED_RULES, ...STORAGE_RULES].map(ruleLine),
    '',
  ].join('\n');
}

function rowLine({ name, schedule, must }: ScheduleRow): string {
  const tests = testsOf(name).map((path) => `[${path.split('/').at(-1)!}](../${path})`);
  return `| ${[name, schedule, must, tests.join(', ')].join(' | ')} |`;
}

function ruleLine(rule: Rule): string {
  return `| ${[nameOf(rule), rule.rule, finderOf(rule)].join(' | ')} |`;
}

/** What shows that the rule is off, besides the forced test of its row. */
function finderOf(rule: Rule): string {
  if (STORAGE_RULES.includes(rule)) return 'its test on a real PostgreSQL';
  const found = FOUND.get(nameOf(rule));
  return found === undefined ? 'its test alone' : `seed ${found.seed}: ${found.by}`;
}
