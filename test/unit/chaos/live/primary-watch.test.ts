/** What is recorded of who served what: never more than the truth, and enough to see two primaries. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { onePrimary } from '../../../../chaos/checkers/one-primary.ts';
import { History, type PrimarySpan } from '../../../../chaos/history.ts';
import {
  type Sample,
  ServiceTracker,
  type ServingStatus,
  watchPrimaries,
} from '../../../../chaos/live/primary-watch.ts';
import { FakeNode } from './fake-node.ts';

const ALL: ServingStatus['serving'] = [[0, 16_383]];
const LIFE = 'first';

interface Answer extends Partial<Omit<ServingStatus, 'lease'>> {
  readonly leaseSinceMs?: number | null;
}

/** Taken at `atMs` of both clocks, with a millisecond for the way there and one for the way back. */
function sample(atMs: number, { leaseSinceMs = 0, ...rest }: Answer = {}): Sample {
  const lease = leaseSinceMs === null ? null : { nowMs: atMs, sinceMs: leaseSinceMs };
  const status = { incarnation: LIFE, epoch: 1, serving: ALL, ...rest, lease };
  return { askedAtMs: atMs - 1, answeredAtMs: atMs + 1, status };
}

function spansOf(...samples: readonly Sample[]): PrimarySpan[] {
  const history = new History({ title: 'test', settings: {} });
  const tracker = new ServiceTracker('a', history);
  for (const one of samples) tracker.add(one);
  tracker.end();
  return history.primaries;
}

const times = (spans: readonly PrimarySpan[]): [number, number][] =>
  spans.map(({ startedAtMs, endedAtMs }) => [startedAtMs, endedAtMs]);

describe('of the answers of one node', () => {
  test('what is certain is recorded: from the first answer to the last question', () => {
    expect(spansOf(sample(10), sample(20), sample(30))).toEqual([
      {
        node: 'a',
        incarnation: LIFE,
        epoch: 1,
        slots: [0, 16_383],
        startedAtMs: 11,
        endedAtMs: 29,
      },
    ]);
  });

  test.each<[string, Answer]>([
    ['another epoch', { epoch: 2 }],
    ['another life', { incarnation: 'second' }],
    ['a lease that had a gap', { leaseSinceMs: 15 }],
  ])('%s begins a new span', (_what, answer) => {
    const spans = spansOf(sample(10), sample(14), sample(20, answer), sample(30, answer));
    expect(times(spans)).toEqual([
      [11, 13],
      [21, 29],
    ]);
  });

  test('without a lease nothing is served', () => {
    expect(spansOf(sample(10, { leaseSinceMs: null }), sample(20, { leaseSinceMs: null }))).toEqual(
      [],
    );
  });

  test('slots that become active later are served from then on, the others all along', () => {
    const serving = [[0, 16_383]] as const;
    const spans = spansOf(
      sample(10, { serving: [[0, 99]] }),
      sample(20, { serving }),
      sample(30, { serving }),
    );
    expect(
      spans.map(({ slots, startedAtMs, endedAtMs }) => [...slots, startedAtMs, endedAtMs]),
    ).toEqual([
      [0, 99, 11, 19],
      [0, 16_383, 21, 29],
    ]);
  });

  test('one answer alone proves nothing about a time', () => {
    expect(spansOf(sample(10))).toEqual([]);
  });
});

/** Truth: one life goes through epochs, in each of which it is active from some moment on, and leases with gaps. */
const truth = fc.record({
  epochs: fc.array(
    fc.record({
      lastsMs: fc.integer({ min: 1, max: 300 }),
      activeAfterMs: fc.integer({ min: 0, max: 200 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  leases: fc.array(
    fc.record({
      gapMs: fc.integer({ min: 0, max: 100 }),
      lastsMs: fc.integer({ min: 1, max: 400 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  /** The node's clock: another zero, another speed. */
  clock: fc.record({
    zero: fc.integer({ min: -1e6, max: 1e6 }),
    speed: fc.double({ min: 0.5, max: 2, noNaN: true }),
  }),
  polls: fc.array(
    fc.record({
      pauseMs: fc.integer({ min: 1, max: 80 }),
      thereMs: fc.integer({ min: 0, max: 60 }),
      backMs: fc.integer({ min: 0, max: 60 }),
    }),
    { minLength: 2, maxLength: 40 },
  ),
});

test('whatever the delays and the clocks, no span is longer than the truth', () => {
  let recorded = 0;
  fc.assert(
    fc.property(truth, ({ epochs, leases, clock, polls }) => {
      const nodeMs = (ms: number): number => clock.zero + ms * clock.speed;
      let at = 0;
      const views = epochs.map(({ lastsMs, activeAfterMs }, i) => {
        const from = at;
        at += lastsMs;
        return { epoch: i + 1, from, activeFrom: from + activeAfterMs, to: at };
      });
      const endMs = at;
      at = 0;
      const rights = leases.map(({ gapMs, lastsMs }) => {
        const from = at + gapMs;
        at = from + lastsMs;
        return { from, to: at };
      });
      const viewAt = (ms: number) => views.find(({ to }) => ms < to) ?? views.at(-1)!;
      const leaseAt = (ms: number) => {
        const i = rights.findIndex(({ from, to }) => ms >= from && ms < to);
        if (i < 0) return null;
        // A lease that follows at once has no gap.
        let first = i;
        while (first > 0 && rights[first - 1]!.to === rights[first]!.from) first--;
        return { nowMs: nodeMs(ms), sinceMs: nodeMs(rights[first]!.from) };
      };
      const history = new History({ title: 'test', settings: {} });
      const tracker = new ServiceTracker('a', history);
      let now = 0;
      for (const { pauseMs, thereMs, backMs } of polls) {
        const askedAtMs = now + pauseMs;
        const seenAtMs = askedAtMs + thereMs;
        now = seenAtMs + backMs;
        if (seenAtMs >= endMs) break;
        const { epoch, activeFrom } = viewAt(seenAtMs);
        const serving = seenAtMs >= activeFrom ? ALL : [];
        const status = { incarnation: LIFE, epoch, lease: leaseAt(seenAtMs), serving };
        tracker.add({ askedAtMs, answeredAtMs: now, status });
      }
      tracker.end();
      recorded += history.primaries.length;
      for (const { epoch, startedAtMs, endedAtMs } of history.primaries) {
        const view = views[epoch - 1]!;
        expect(startedAtMs).toBeGreaterThanOrEqual(view.activeFrom);
        expect(endedAtMs).toBeLessThanOrEqual(view.to);
        for (let ms = startedAtMs; ms < endedAtMs; ms++) expect(leaseAt(ms)).not.toBeNull();
      }
    }),
    { numRuns: 500, seed: 1 },
  );
  expect(recorded).toBeGreaterThan(100);
});

describe('asked over the network', () => {
  const nodes: FakeNode[] = [];

  afterEach(() => Promise.all(nodes.splice(0).map((node) => node.stop())));

  /** Nodes that serve what `servingOf` says, asked until each has answered a few times. */
  async function verdictOf(servingOf: (name: string) => ServingStatus['serving']): Promise<string> {
    const asked = new Map<string, number>();
    for (const name of ['a', 'b']) {
      const node = await FakeNode.start(name);
      node.answer = () => {
        asked.set(name, (asked.get(name) ?? 0) + 1);
        const lease = { nowMs: performance.now(), sinceMs: 0 };
        const status = { incarnation: name, epoch: 1, lease, serving: servingOf(name) };
        const text = JSON.stringify(status);
        return `$${text.length}\r\n${text}\r\n`;
      };
      nodes.push(node);
    }
    const history = new History({ title: 'test', settings: {} });
    const isDone = (): boolean => ['a', 'b'].every((name) => (asked.get(name) ?? 0) > 4);
    await watchPrimaries(
      nodes.map(({ address }) => address),
      history,
      isDone,
    );
    return onePrimary.check(history).status;
  }

  test('two that serve the same slots at the same time are found', async () => {
    expect(await verdictOf(() => ALL)).toBe('broken');
  });

  test('two that share the slots are right', async () => {
    expect(await verdictOf((name) => (name === 'a' ? [[0, 99]] : [[100, 16_383]]))).toBe('holds');
  });
});
