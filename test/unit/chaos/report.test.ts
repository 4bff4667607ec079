import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Verdict, verdict } from '../../../chaos/checkers/checker.ts';
import type { History } from '../../../chaos/history.ts';
import { figuresOf } from '../../../chaos/report/figures.ts';
import { html } from '../../../chaos/report/markup.ts';
import { htmlReport } from '../../../chaos/report/page.ts';
import { textReport } from '../../../chaos/report/text.ts';
import { writeReport } from '../../../chaos/report/write.ts';
import { history, op, refused, unknown } from './histories.ts';

const VERDICTS: readonly Verdict[] = [
  verdict('linearizable', '3 objects, 40 operations', ['k: no order\n  > GET k -> "a" & <b>']),
  verdict('sums', '7 readings', []),
  verdict('elements', '', [], ['gave up after 10 configurations']),
];

/** An answer every 10 ms for two seconds, nothing for one, then an answer again; two faults. */
function run(): History {
  const operations = Array.from({ length: 200 }, (_, i) =>
    op(1000 + 10 * i, 1002 + 10 * i, 'SET k a', 'OK', { workload: i % 2 === 0 ? 'one' : 'two' }),
  );
  const made = history(
    ...operations,
    { ...refused(2995, 3005, 'SET k a'), reply: 'STOREDOWN the database is away' },
    unknown(2995, 3999, 'SET k a'),
    op(3990, 3992, 'GET k', 'a'),
  );
  made.addFault({ name: 'kill-node', detail: 'node-2', startedAtMs: 2990, endedAtMs: 3900 });
  made.addFault({ name: '<script>', detail: '"&\'', startedAtMs: 3000, endedAtMs: 3100 });
  return made;
}

/** The tags of a document, checked for balance; throws where it is not well-formed. */
function tags(page: string): { name: string; attributes: string }[] {
  const found: { name: string; attributes: string }[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*)\s*(\/?)>|<!doctype html>|</g;
  for (const [whole, closing, name, attributes, empty] of page.matchAll(tag)) {
    if (whole === '<!doctype html>') continue;
    if (name === undefined) throw new Error('a < that begins no tag');
    if (closing === '/') {
      const last = open.pop();
      if (last !== name) throw new Error(`</${name}> closes <${String(last)}>`);
      continue;
    }
    found.push({ name, attributes: attributes! });
    if (empty !== '/' && name !== 'meta') open.push(name);
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join(' ')}`);
  return found;
}

describe('the page', () => {
  const page = htmlReport(run(), VERDICTS);
  const all = tags(page);

  test('is well-formed, and loads and runs nothing', () => {
    const names = all.map(({ name }) => name);
    expect(names).toContain('svg');
    for (const name of ['script', 'link', 'img', 'iframe']) expect(names).not.toContain(name);
    expect(all.filter(({ attributes }) => /\s(src|on\w+)=/.test(attributes))).toEqual([]);
    expect(page.match(/url\([^)]*\)/g)).toEqual(['url(#hatch)']);
    expect(page).not.toMatch(/https?:/);
  });

  test('has every fault as a band that links to its row, and as that row', () => {
    const links = all.filter(({ name, attributes }) => name === 'a' && /#fault-/.test(attributes));
    expect(links).toHaveLength(2);
    for (const number of [1, 2]) {
      expect(page).toContain(`href="#fault-${number}"`);
      expect(page).toContain(`<tr id="fault-${number}">`);
    }
    expect(page).toContain('kill-node');
    expect(page).toContain('node-2');
  });

  test('has every verdict with its explanation, escaped', () => {
    for (const { checker, status } of VERDICTS) {
      expect(page).toContain(`<tr id="verdict-${checker}">\n<td class="status ${status}">`);
    }
    expect(page).toContain('k: no order\n  &gt; GET k -&gt; &quot;a&quot; &amp; &lt;b&gt;');
    expect(page).toContain('gave up after 10 configurations');
    expect(page).toContain('&lt;script&gt;');
    expect(page).toContain('&quot;&amp;&#39;');
  });

  test('says in words how the run ended', () => {
    expect(page).toContain('1 of 3 checkers broken');
    expect(htmlReport(run(), VERDICTS.slice(1, 2))).toContain('no violation found');
    expect(htmlReport(run(), VERDICTS.slice(1))).toContain('1 of 2 checkers undecided');
  });

  test('marks the time in which nobody was answered', () => {
    expect(page).toContain('nobody was answered for 1.00 s');
  });

  test('is well-formed for a run in which nothing happened', () => {
    expect(() => tags(htmlReport(history(), []))).not.toThrow();
  });

  test('is well-formed whatever names, details and findings hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 60 }), (text, count) => {
        const made = run();
        for (let i = 0; i < count; i++) {
          const times = { startedAtMs: 1000 + 40 * i, endedAtMs: 1500 + 40 * i };
          made.addFault({ name: `${text}${i}`, detail: text, ...times });
        }
        const found = tags(htmlReport(made, [verdict('sums', text, [text])]));
        const bands = found.filter(
          ({ name, attributes }) => name === 'a' && /#fault/.test(attributes),
        );
        expect(bands).toHaveLength(count + 2);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the figures', () => {
  const figures = figuresOf(run());

  test('count each operation once, in the time in which it ended', () => {
    const sum = (pick: 'ok' | 'refused' | 'unknown'): number =>
      figures.buckets.reduce((total, bucket) => total + bucket[pick], 0);
    expect([sum('ok'), sum('refused'), sum('unknown')]).toEqual([201, 1, 1]);
    expect(figures.counts).toEqual({ ok: 201, refused: 1, unknown: 1 });
  });

  test('take for an answer that RENAME finds no key', () => {
    const made = run();
    made.add({ ...refused(3995, 3996, 'RENAME k l'), reply: 'ERR no such key' });
    expect(figuresOf(made).counts).toEqual({ ok: 202, refused: 1, unknown: 1 });
    expect(figuresOf(made).faults[0]).toMatchObject({ refused: 1 });
    expect(figuresOf(made).errors).toHaveLength(2);
  });

  test('tell errors by their code', () => {
    expect(figures.errors).toEqual([
      { kind: 'refused: STOREDOWN', count: 1 },
      { kind: 'unknown: UNKNOWN', count: 1 },
    ]);
  });

  test('tell how long everybody waited because of a fault, and how long one operation took', () => {
    expect(figures.longestPauseMs).toBe(1000);
    expect(figures.gaps).toEqual([{ fromMs: 1992, toMs: 2992 }]);
    expect(figures.faults[0]).toMatchObject({ name: 'kill-node', pauseMs: 1000, waitMs: 1004 });
  });

  test('tell for each fault the longest time without an acknowledged write, reads left out', () => {
    // The last write is acknowledged at 2992, then there is nothing but a read at 3992, with which the run ends
    // but for an unknown outcome seven milliseconds later.
    expect(figures.faults[0]).toMatchObject({ name: 'kill-node', writePauseMs: 1007 });
    const made = run();
    made.add(op(4400, 4492, 'SET k a', 'OK'));
    made.add(op(4600, 4602, 'SET k a', 'OK'));
    expect(figuresOf(made).faults[0]).toMatchObject({ pauseMs: 1000, writePauseMs: 1500 });
  });

  test('do not take for a pause what was before a fault, or the end of the run', () => {
    const made = history(op(0, 1, 'SET k a', 'OK'), op(5000, 5001, 'SET k a', 'OK'));
    made.addFault({ name: 'join', detail: '', startedAtMs: 4990, endedAtMs: 5000 });
    expect(figuresOf(made).faults[0]).toMatchObject({ pauseMs: 11, writePauseMs: 11 });
  });

  test('sum up faults of one name: the worst pause, all errors', () => {
    const made = run();
    made.addFault({ name: 'kill-node', detail: 'node-1', startedAtMs: 1500, endedAtMs: 1600 });
    expect(figuresOf(made).faultKinds).toEqual([
      {
        name: 'kill-node',
        count: 2,
        pauseMs: 1000,
        writePauseMs: 1007,
        waitMs: 1004,
        refused: 2,
        unknown: 2,
      },
      expect.objectContaining({ name: '<script>', count: 1 }),
    ]);
  });

  test('tell the latency of answered operations by workload', () => {
    expect(figures.workloads.map(({ name }) => name)).toEqual(['one', 'two', 'w']);
    expect(figures.workloads[0]?.latency).toEqual({ p50: 2, p99: 2, max: 2 });
  });
});

test('the text names faults, errors and verdicts, with the claim that is broken', () => {
  const text = textReport(run(), VERDICTS).join('\n');
  expect(text).toContain(
    '1.99 s-2.90 s kill-node (node-2): pause 1.00 s, of writes 1.01 s, longest wait 1.00 s',
  );
  expect(text).toContain('kill-node ×1: pause 1.00 s, of writes 1.01 s');
  expect(text).toContain('1 refused: STOREDOWN');
  expect(text).toMatch(/broken +linearizable \(3 objects, 40 operations\)\n +Each operation took/);
  expect(text).toMatch(/holds +sums/);
  expect(text).toMatch(/undecided +elements/);
});

test('both reports are written side by side', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-report-'));
  try {
    const lines = writeReport(folder, run(), VERDICTS);
    expect(readFileSync(join(folder, 'report.txt'), 'utf8')).toBe(`${lines.join('\n')}\n`);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toMatch(/^<!doctype html>/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what is put into markup is escaped once, markup in markup is not', () => {
  expect(html`<p title="${'"'}">${html`<b>${'<&'}</b>`}</p>`.text).toBe(
    '<p title="&quot;"><b>&lt;&amp;</b></p>',
  );
});
