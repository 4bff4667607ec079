import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { absolute } from '../../../bench/load/goals.ts';
import { attainments } from '../../../bench/load/page/attainment.ts';
import { htmlPage } from '../../../bench/load/page/html.ts';
import { withFigures } from '../../../bench/load/page/markdown.ts';
import { pages } from '../../../bench/load/page/write.ts';
import { resultOf } from '../../../bench/load/report.ts';
import { newestOf } from '../../../bench/load/results.ts';
import { sideResult } from '../../../bench/load/rounds.ts';
import { getResult, MILLISECONDS, runOf, scenario } from './figures.ts';

const PAUSE = resultOf(
  { ...scenario([absolute('≤', 20)], MILLISECONDS), id: 'pause', title: 'Pause <with> & "marks"' },
  { ours: sideResult('ringfence', 'one node', [{ value: 10 }]), peers: [] },
  0,
);
const OLD = runOf('2026-01-01T10:00:00.000Z', [getResult([10_000]), PAUSE]);
const NEW = runOf('2026-01-02T10:00:00.000Z', [getResult([25_000])]);
const NEWEST = newestOf([OLD, NEW], ['get', 'pause', 'never-measured']);
const EMPTY =
  '# Title\n\n<!-- figures: begin (written by `npm run bench -- --page`; changes by hand are lost) -->\n\nold\n\n<!-- figures: end -->\n\nprose\n';

describe('page of the bench', () => {
  test('each scenario has its newest figures', () => {
    expect(NEWEST.map(({ scenario: { id }, run }) => [id, run])).toEqual([
      ['get', NEW],
      ['pause', OLD],
    ]);
  });

  test.each([[['--quick']], [['--sync-delay=1']], [['--lane-pipeline', '1']]])(
    'a run with %j counts only where there is no other',
    (flags) => {
      const plain = { ...OLD, flags: ['--only', 'get', '--rounds=7'] };
      const unusual = { ...NEW, flags };
      expect(newestOf([plain, unusual], ['get']).map(({ run }) => run)).toEqual([plain]);
      expect(newestOf([unusual], ['get']).map(({ run }) => run)).toEqual([unusual]);
    },
  );

  test('how far a goal is reached grows with what is better', () => {
    expect(attainments(NEWEST)).toMatchObject([
      { id: 'get', asked: '≥ 1 × redis', reached: '0.50', share: 0.5, passed: false },
      { id: 'pause', asked: '≤ 20 ms', reached: '10.0 ms', share: 2, passed: true },
    ]);
  });

  test('tables are exchanged and the prose stays', () => {
    const page = withFigures(EMPTY, NEWEST);
    expect(page).toMatch(/^# Title\n/);
    expect(page).toMatch(/\nprose\n$/);
    expect(page).not.toContain('\nold\n');
    expect(page).toContain(
      '| `get` | GET, 50 connections | redis: 50000/s | 25000/s | 0.50 (0.50 to 0.50) | goal ≥ 1 × redis: **MISS** | 11.0 | 11.0 |',
    );
    expect(page).toContain('| `pause` | Pause <with> & "marks" |  | 10.0 ms | (10.0 to 10.0) |');
    expect(page).toContain('`pause`: 2026-01-01T10:00Z, commit abc1234, `--quick`');
    expect(withFigures(page, NEWEST)).toBe(page);
  });

  test('a page without the marks is refused', () => {
    expect(() => withFigures('# Title\n', NEWEST)).toThrow(/figures: begin/);
  });

  test('the page with charts loads nothing, and has a table for every chart', () => {
    const page = htmlPage(NEWEST);
    expect(page).not.toMatch(/(src|href)=|url\(|@import|<script/);
    const charts = page.match(/role="img"/g)?.length ?? 0;
    expect(charts).toBe(4); // goals; figures and processor time of `get`; figures of `pause`
    expect(page.match(/<table>/g)).toHaveLength(3);
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).toContain('1 of 2 are reached');
  });

  test('text from results cannot become markup', () => {
    const page = htmlPage(NEWEST);
    expect(page).toContain('Pause &lt;with&gt; &amp; &quot;marks&quot;');
    expect(page).not.toContain('<with>');
  });

  test('without results the page says so', () => {
    expect(htmlPage([])).toContain('No run in the present format was saved yet.');
  });

  test('the files in the checkout are what the saved results give', () => {
    for (const { path, content } of pages()) expect(readFileSync(path, 'utf8')).toBe(content);
  });
});
