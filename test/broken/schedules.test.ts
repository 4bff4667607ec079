/**
 * With a rule of the program switched off, the test of its schedule must fail: else that test proves
 * nothing. In a copy of the sources one rule after the other is off for a run of the tests of its row; two
 * copies at a time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { CLUSTER_RULES, STORAGE_RULES } from '../../chaos/sim/rules/index.ts';
import { BrokenCopy } from '../../chaos/sim/rules/copy.ts';
import { nameOf, type Rule } from '../../chaos/sim/rules/rule.ts';
import { testsOf } from '../../scripts/docs/schedules.ts';

const ROOT = join(import.meta.dirname, '../..');
const AT_ONCE = 2;
const TIME_MS = 600_000;

const all = [
  ...CLUSTER_RULES.map((rule) => ({ rule, folder: 'test/unit/cluster/schedules' })),
  ...STORAGE_RULES.map((rule) => ({ rule, folder: 'test/integration/storage' })),
];

interface Verdict {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

const verdicts = new Map<string, Verdict>();

beforeAll(async () => {
  const left = [...all];
  const work = async (): Promise<void> => {
    const copy = new BrokenCopy(ROOT);
    try {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const { rule, folder } = next;
        const tests = testsOf(rule.row!).filter((path) => path.startsWith(folder));
        verdicts.set(nameOf(rule), await verdictWithout(rule, tests, copy));
      }
    } finally {
      copy.remove();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}, TIME_MS);

test.each(all.map(({ rule }) => [nameOf(rule), rule.rule]))('%s fails unless %s', (name) => {
  const verdict = verdicts.get(name)!;
  expect(verdict.failed, `all passed: ${verdict.passed.join('; ')}`).not.toEqual([]);
});

/** Runs the tests of the rule's row without the rule. */
async function verdictWithout(
  rule: Rule,
  tests: readonly string[],
  copy: BrokenCopy,
): Promise<Verdict> {
  copy.breakRule(rule);
  const pattern = `(^|[ ,])${rule.row}[:, ]`;
  const args = ['run', '--root', copy.root, '--reporter=json', '-t', pattern, ...tests];
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const child = spawn(process.execPath, [vitest, ...args], {
    cwd: copy.root,
    env: withoutVitest(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await once(child, 'close');
  return readReport(output, errors);
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

function readReport(output: string, errors: string): Verdict {
  const start = output.indexOf('{');
  if (start < 0) throw new Error(`no report: ${output}${errors}`);
  const report = JSON.parse(output.slice(start)) as Report;
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status: string): string[] =>
    results.filter((result) => result.status === status).map(({ fullName }) => fullName);
  const verdict = { passed: named('passed'), failed: named('failed') };
  if (verdict.passed.length + verdict.failed.length === 0) {
    throw new Error(`nothing was run: ${output.slice(0, 2000)}${errors}`);
  }
  return verdict;
}

/** What this run has told its own processes is not meant for another one. */
function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(VITEST|TEST$|VITE_|DEV$|PROD$|MODE$|SSR$|BASE_URL$)/.test(name),
    ),
  );
}
