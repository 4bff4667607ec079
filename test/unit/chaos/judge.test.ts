import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { History, type Operation } from '../../../chaos/history.ts';
import type { Verdict } from '../../../chaos/checkers/checker.ts';
import { HistoryFile } from '../../../chaos/history-file.ts';
import { op } from './histories.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

describe('chaos/judge.ts', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-judge-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function judge(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const script = ['--import', 'tsx', join(ROOT, 'chaos', 'judge.ts')];
    return spawnSync(process.execPath, [...script, ...args], { cwd: ROOT, encoding: 'utf8' });
  }

  function fileOf(reply: string, ...verdicts: readonly Verdict[]): string {
    const path = join(folder, 'history.jsonl');
    const file = new HistoryFile(path);
    const history = new History({ title: 'a run', settings: {} }, file.sink);
    const more: Partial<Operation> = { workload: 'registers' };
    history.add(op(1, 2, 'SET k a', 'OK', more));
    history.add(op(3, 4, 'GET k', reply, more));
    const values = new Map([['k', 'a']]);
    const answers = new Map([['node-1', values]]);
    const times = { startedAtMs: 10, endedAtMs: 11 };
    history.addEnd({ when: 'at the end', ...times, answers, memory: new Map(), table: values });
    for (const verdict of verdicts) history.addVerdict(verdict);
    file.close();
    return path;
  }

  test('says that a right history holds, and writes the report beside it', () => {
    const { status, stdout } = judge(fileOf('a'));
    expect(stdout).toMatch(/holds +linearizable/);
    expect(status).toBe(0);
    expect(existsSync(join(folder, 'report.html'))).toBe(true);
    expect(existsSync(join(folder, 'report.txt'))).toBe(true);
  });

  test('fails for a wrong history, with its explanation', () => {
    const { status, stdout } = judge(fileOf('b'));
    expect(stdout).toContain('GET k -> "b"');
    expect(status).toBe(1);
  });

  test('says again what the run found by itself, as nobody could find that in the records', () => {
    const findings = ['node-1 ended by itself'];
    const path = fileOf('a', { checker: 'deaths', status: 'broken', judged: 'all', findings });
    const { status, stdout } = judge(path);
    expect(stdout).toMatch(/broken +deaths \(all\)\n +node-1 ended by itself/);
    expect(status).toBe(1);
  });

  test('tells a file that is no history from wrong usage', () => {
    const path = join(folder, 'other.jsonl');
    writeFileSync(path, '{"a":1}\n');
    expect(judge(path).status).toBe(1);
    expect(judge(path).stderr).toContain('other.jsonl: ');
    expect(judge().status).toBe(2);
    expect(judge('--what').stderr).toContain('Usage');
  });
});
