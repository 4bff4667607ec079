import { describe, expect, test } from 'vitest';
import { type FlushPoint, FlushPoints, retryOf } from '../../../src/cluster/flush-points.ts';

function point(epoch: number, seq: number, db: number | null = null): FlushPoint {
  return { epoch, seq, db };
}

function all(): boolean {
  return true;
}

describe('a flush that was tried under epoch 4', () => {
  const tried = point(4, 10);

  test.each<[string, FlushPoint | null, FlushPoint | null, number, string]>([
    ['anew: it was not tried here', null, point(4, 20), 5, 'anew'],
    ['anew: memory has seen no flush', tried, null, 5, 'anew'],
    ['anew: memory has seen an older one only', tried, point(4, 9), 5, 'anew'],
    ['rows only: memory has seen it', tried, tried, 5, 'rows-only'],
    ['rows only: memory has seen a later one of all databases', tried, point(5, 1), 5, 'rows-only'],
    ['rows only: this node was primary before, too', tried, tried, 2, 'rows-only'],
    ['unclear: another primary was in between', tried, tried, 6, 'unclear'],
    ['unclear: memory has seen a later one of one database', tried, point(5, 1, 3), 5, 'unclear'],
  ])('is done %s', (_what, before, last, primarySince, retry) => {
    expect(retryOf(before, null, last, primarySince)).toBe(retry);
  });

  test('is done rows only when the same database was flushed later', () => {
    expect(retryOf(point(4, 10, 3), 3, point(5, 1, 3), 5)).toBe('rows-only');
  });
});

describe('a slot', () => {
  test('is unsettled until all owners have got to its last flush', () => {
    const points = new FlushPoints();
    points.reach(7, point(1, 1));
    points.reach(7, point(1, 2));
    points.settle(7, point(1, 1));
    expect(points.unsettled(all)).toEqual([7]);
    expect(points.unsettled((slot) => slot !== 7)).toEqual([]);
    points.settle(7, point(1, 2));
    expect(points.unsettled(all)).toEqual([]);
    expect(points.of(7)).toEqual(point(1, 2));
  });

  test('that is filled has seen what its primary has seen', () => {
    const points = new FlushPoints();
    points.reach(7, point(1, 1));
    points.inherit(7, point(1, 5));
    expect([points.of(7), points.unsettled(all)]).toEqual([point(1, 5), []]);
    points.inherit(7, null);
    expect(points.of(7)).toBeNull();
  });
});
