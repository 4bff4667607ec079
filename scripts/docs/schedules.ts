/** docs/schedules.md, from the table of schedules, the tests and the rules that are switched off. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CLUSTER_RULES, STORAGE_RULES } from '../../chaos/sim/rules/index.ts';
import { ROWS, type ScheduleRow } from '../../chaos/sim/rules/rows.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['test/unit/cluster/schedules', 'test/integration/storage'];

const INTRO = `# Schedules

Orders of events that break naive versions of this design. Each is a test with its order forced: on a cluster in virtual
time (\`test/unit/cluster/schedules\`), and where PostgreSQL itself keeps the rule, on a real one (\`test/integration/storage\`).
The tests are found by name: \`npx vitest run -t zombie-commit\`.

A test that cannot fail proves nothing. So each rule is also switched off: \`chaos/sim/rules\` replaces its source text in a
temporary copy, and \`test/broken\` expects the test of the row to fail there; it tries every rule in every run, which takes
minutes. P is a primary, R a replica, A to C are nodes.
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
    '| schedule | what happens | what must hold | tests | rules that are switched off |',
    '|---|---|---|---|---|',
    ...rows.map(line),
    '',
    'Not (fully) tested yet, because something is not there:',
    '',
    ...waiting.map(({ name, waitsFor }) => `- ${name}: ${waitsFor!}`),
    '',
  ].join('\n');
}

function line({ name, schedule, must }: ScheduleRow): string {
  const rules = [...CLUSTER_RULES, ...STORAGE_RULES].filter((rule) => rule.row === name);
  const tests = testsOf(name).map((path) => `[${path.split('/').at(-1)!}](../${path})`);
  const cells = [name, schedule, must, tests.join(', '), rules.map(({ rule }) => rule).join('; ')];
  return `| ${cells.join(' | ')} |`;
}
