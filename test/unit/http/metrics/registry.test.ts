import { describe, expect, test } from 'vitest';
import { type Metric, metricProblems, single } from '../../../../src/http/metrics/metric.ts';
import { METRIC_GROUPS, metricsText } from '../../../../src/http/metrics/registry.ts';
import { parseExposition, valueOf } from '../../../support/exposition.ts';
import { read } from '../../docs/markdown.ts';
import { FACTS } from './facts.ts';

const METRICS = METRIC_GROUPS.flatMap(({ metrics }) => metrics);

describe('the table', () => {
  test('keeps the rules for names, kinds, units, labels and texts', () => {
    expect(metricProblems(METRICS)).toEqual([]);
  });

  test('has names of this program, and the three that every process has', () => {
    const others = METRICS.filter(({ name }) => !name.startsWith('ringfence_'));
    expect(others.map(({ name }) => name)).toEqual([
      'process_start_time_seconds',
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
    ]);
  });

  test('has every metric that docs/operations.md tells to look at', () => {
    const [, section = ''] = /\n## Metrics\n(.*?)\n## /s.exec(read('docs/operations.md')) ?? [];
    const named = new Set(section.match(/\bringfence_\w+/g));
    const known = new Set(METRICS.map(({ name }) => name));
    expect(named.size).toBeGreaterThan(5);
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
  });

  const metric = (changes: Partial<Metric<null>>): Metric<null> => ({
    ...single('gauge', 'a_bytes', 'The a.', () => 1),
    ...changes,
  });

  test.each([
    ['no upper case', { name: 'aB' }],
    ['no dashes', { name: 'a-b' }],
    ['no milliseconds', { name: 'a_ms' }],
    ['no percent', { name: 'a_percent' }],
    ['no endings of histograms', { name: 'a_count' }],
    ['a counter with _total', { kind: 'counter', name: 'a' }],
    ['a gauge without _total', { kind: 'gauge', name: 'a_total' }],
    ['help in one sentence', { help: 'the a' }],
    ['help on one line', { help: 'The a.\nAnd b.' }],
    ['no label twice', { labels: ['x', 'x'] }],
    ['no labels of the scraper', { labels: ['instance'] }],
    ['no labels in upper case', { labels: ['X'] }],
  ] as const)('would be refused: %s', (_label, changes) => {
    expect(metricProblems([metric(changes)])).toHaveLength(1);
  });

  test('would be refused: two of one name', () => {
    expect(metricProblems([metric({}), metric({})])).toEqual([
      'a_bytes: there are two of that name',
    ]);
  });
});

describe('the answer of a node', () => {
  const families = parseExposition(metricsText(FACTS));

  test('has every metric once, with the labels of the table', () => {
    expect([...families.keys()]).toEqual(METRICS.map(({ name }) => name));
    for (const { name, kind, labels } of METRICS) {
      expect(families.get(name)!.kind).toBe(kind);
      for (const series of families.get(name)!.samples.keys()) {
        expect([...series.matchAll(/(\w+)="/g)].map(([, label]) => label)).toEqual(labels);
      }
    }
  });

  test.each([
    ['process_start_time_seconds', '', 1_700_000_000.5],
    ['process_cpu_seconds_total', '', 1.75],
    ['ringfence_build_info', '{version="1.2.3"}', 1],
    ['ringfence_connections', '', 201],
    ['ringfence_connections_closed_total', '{reason="idle"}', 207],
    ['ringfence_command_calls_total', '{command="get"}', 301],
    ['ringfence_command_failures_total', '{command="config|set"}', 305],
    ['ringfence_command_seconds_total', '{command="get"}', 2.5],
    ['ringfence_error_replies_total', '{code="WRONGTYPE"}', 311],
    ['ringfence_memory_used_bytes', '', 801],
    ['ringfence_keys', '{db="9"}', 805],
    ['ringfence_dirty_entries', '', 810],
    ['ringfence_lookups_total', '{result="miss"}', 807],
    ['ringfence_legacy_answers_total', '{prefix="ü:",result="absent"}', 503],
    ['ringfence_legacy_breaker_open', '{prefix="ü:"}', 1],
    ['ringfence_last_commit_timestamp_seconds', '', 1_700_000_001],
    ['ringfence_ready', '', 0],
    ['ringfence_problems', '', 2],
    ['ringfence_members', '{state="member"}', 2],
    ['ringfence_members', '{state="removed"}', 0],
    ['ringfence_lease_remaining_seconds', '', 1.25],
    ['ringfence_lease_held_seconds', '', 15.5],
    ['ringfence_link_up', '{peer="node-3"}', 0],
    ['ringfence_slots', '{role="learner"}', 813],
    ['ringfence_handover_slots', '{to="node-4"}', 610],
    ['ringfence_handover_slots_left', '{to="node-4"}', 10],
    ['ringfence_handover_unconfirmed_bytes', '{to="node-4"}', 613],
    ['ringfence_handover_slowed', '{to="node-4",cause="many-writes"}', 1],
    ['ringfence_handover_bytes_total', '', 861],
  ])('%s%s', (name, labels, value) => {
    expect(valueOf(families, name, labels)).toBe(value);
  });

  test('a hand-over that is not slowed has no cause', () => {
    expect([...families.get('ringfence_handover_slowed')!.samples.keys()]).toEqual([
      '{to="node-4",cause="many-writes"}',
    ]);
  });

  test('a node without a life has no numbers of one, and no lease', () => {
    const status = { ...FACTS.status, lease: null };
    const dead = parseExposition(metricsText({ ...FACTS, status, life: null }));
    expect([...dead.keys()]).toEqual([...families.keys()]);
    expect(dead.get('ringfence_memory_used_bytes')!.samples.size).toBe(0);
    expect(dead.get('ringfence_keys')!.samples.size).toBe(0);
    expect(dead.get('ringfence_link_up')!.samples.size).toBe(0);
    expect(valueOf(dead, 'ringfence_lease_remaining_seconds')).toBe(0);
    expect(valueOf(dead, 'ringfence_connections')).toBe(201);
  });
});
