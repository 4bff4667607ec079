import { expect, test } from 'vitest';
import { Fifo } from '../../../src/cluster/fifo.ts';

test('items leave in the order they came, over any mixture of pushes and shifts', () => {
  const fifo = new Fifo<{ n: number }>();
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 500; round++) {
    for (let i = 0; i < (round * 7) % 23; i++) fifo.push({ n: pushed++ });
    for (let i = 0; i < (round * 5) % 19; i++) {
      const peeked = fifo.peek();
      const item = fifo.shift();
      expect(item).toBe(peeked);
      if (item !== null) expect(item.n).toBe(shifted++);
    }
    expect(fifo.length).toBe(pushed - shifted);
  }
  expect(shifted).toBeGreaterThan(3000);
});

test('an empty queue has no oldest item', () => {
  const fifo = new Fifo<object>();
  expect(fifo.peek()).toBeNull();
  expect(fifo.shift()).toBeNull();
  fifo.push({});
  fifo.shift();
  expect(fifo.shift()).toBeNull();
  expect(fifo.length).toBe(0);
});

test('takeAll empties it, oldest first', () => {
  const fifo = new Fifo<{ n: number }>();
  for (let n = 0; n < 5; n++) fifo.push({ n });
  fifo.shift();
  expect(fifo.takeAll().map(({ n }) => n)).toEqual([1, 2, 3, 4]);
  expect(fifo.length).toBe(0);
  fifo.push({ n: 9 });
  expect(fifo.shift()).toEqual({ n: 9 });
});
