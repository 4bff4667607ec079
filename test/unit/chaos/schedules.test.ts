/** The table of schedules, the tests that it promises, and the rules that these tests depend on. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planOf } from '../../../chaos/sim/plan.ts';
import { SIMULATED_RULES, STORAGE_RULES } from '../../../chaos/sim/rules/index.ts';
import { edited, nameOf } from '../../../chaos/sim/rules/rule.ts';
import { ROWS, type ScheduleRow } from '../../../chaos/sim/rules/rows.ts';
import { testsOf } from '../../../scripts/docs/schedules.ts';

const ROOT = join(import.meta.dirname, '../../..');
const RULES = [...SIMULATED_RULES, ...STORAGE_RULES];

/** Rows of which nothing can be tested yet. */
const NOT_YET = ['behind-at-failover', 'pop-from-two', 'watch-elsewhere'];

describe('every schedule', () => {
  test.each((ROWS as readonly ScheduleRow[]).map((row) => [row.name, row] as const))(
    '%s has a test with its order forced, and a rule that is switched off, or says what it waits for',
    (name, row) => {
      const waits = NOT_YET.includes(name);
      if (waits) expect(row.waitsFor).toMatch(/nothing of it is there$/);
      expect(testsOf(name).length > 0).toBe(!waits);
      expect(RULES.some((rule) => rule.row === name)).toBe(!waits);
    },
  );
});

describe('every rule that is switched off', () => {
  test.each(RULES.map((rule) => [nameOf(rule), rule] as const))('%s is there', (_name, rule) => {
    const texts = new Map<string, string>();
    for (const edit of rule.edits) {
      const text = texts.get(edit.file) ?? readFileSync(join(ROOT, edit.file), 'utf8');
      texts.set(edit.file, edited(text, edit));
    }
  });

  test('is about faults and workloads that are there', () => {
    for (const { focus } of RULES) expect(() => planOf(1, focus)).not.toThrow();
  });

  test('has a name of its own', () => {
    const names = RULES.map(nameOf);
    expect(new Set(names).size).toBe(names.length);
  });
});

test('a text that is not there exactly once is not replaced', () => {
  const edit = { file: 'x.ts', from: 'a', to: 'b' };
  expect(edited('cat', edit)).toBe('cbt');
  expect(() => edited('dog', edit)).toThrow('0 times');
  expect(() => edited('papa', edit)).toThrow('2 times');
});

test('all forced schedules are in the table', () => {
  const names: readonly string[] = ROWS.map(({ name }) => name);
  for (const file of readdirSync(join(ROOT, 'test/unit/cluster/schedules'))) {
    const text = readFileSync(join(ROOT, 'test/unit/cluster/schedules', file), 'utf8');
    for (const [, name] of text.matchAll(/^\s*schedule\(\s*'([^']+)'/gm)) {
      expect(names).toContain(name);
    }
  }
});
