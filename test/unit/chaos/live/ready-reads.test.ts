/** Whether a refusal by a node that had said it is ready is found, and whether it is excused when it must be. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReadyReads } from '../../../../chaos/live/ready-reads.ts';
import { missingStock } from '../../../../chaos/live/stock.ts';
import { readinessOf, untilReady } from '../../../../chaos/target.ts';
import { FakeNode } from './fake-node.ts';

const LOADING = '-LOADING Ringfence is joining the cluster\r\n';
const VALUE = '$1\r\nv\r\n';

let nodes: FakeNode[];
let said: string[];
let reads: ReadyReads;

beforeEach(async () => {
  nodes = await Promise.all(['a', 'b'].map((name) => FakeNode.start(name)));
  for (const node of nodes) node.answer = () => VALUE;
  said = [];
  reads = new ReadyReads({ nodes: nodes.map(({ address }) => address) }, (line) => said.push(line));
});

afterEach(() => Promise.all(nodes.map((node) => node.stop())));

/** The first reply is `reply`, after `before`; all others are the value. */
function refuseOnce(node: FakeNode, reply: string, before: () => void = () => undefined): void {
  node.answer = () => {
    node.answer = () => VALUE;
    before();
    return reply;
  };
}

test('values are read, and what is not there is null', async () => {
  nodes[0]!.answer = ([, key]) => (key === 'gone' ? '$-1\r\n' : VALUE);
  const values = await reads.from(nodes[0]!.address, ['k', 'gone']);
  expect([...values]).toEqual([
    ['k', 'v'],
    ['gone', null],
  ]);
  expect(reads.findings).toEqual([]);
});

test.each([LOADING, '-NOTDONE the primary of the key could not be reached in time\r\n'])(
  'a refusal while all are ready in the same lives is a finding: %j',
  async (reply) => {
    refuseOnce(nodes[0]!, reply);
    const values = await reads.from(nodes[0]!.address, ['k', 'l']);
    expect([...values]).toEqual([['l', 'v']]);
    expect(reads.findings).toEqual([`GET k on a: ${reply.slice(1).trim()}, though all are ready`]);
  },
);

test.each([
  ['it lives anew', (): FakeNode => nodes[0]!, 'a lives anew'],
  ['another one lives anew', (): FakeNode => nodes[1]!, 'b lives anew'],
])('a refusal is excused when %s, and everything is read again', async (_how, whose, excuse) => {
  refuseOnce(nodes[0]!, LOADING, () => (whose().life = 'second life'));
  const values = await reads.from(nodes[0]!.address, ['k', 'l']);
  expect([...values]).toEqual([
    ['k', 'v'],
    ['l', 'v'],
  ]);
  expect(reads.findings).toEqual([]);
  expect(said.join()).toContain(excuse);
});

test('nodes that lose their lives again and again are an error', async () => {
  let lives = 0;
  nodes[0]!.answer = () => {
    nodes[0]!.life = `life ${++lives}`;
    return LOADING;
  };
  await expect(reads.from(nodes[0]!.address, ['k'])).rejects.toThrow('lost their lives');
});

test('BUSY is no answer and is asked again', async () => {
  refuseOnce(nodes[0]!, '-BUSY too much is waiting\r\n');
  expect((await reads.from(nodes[0]!.address, ['k'])).get('k')).toBe('v');
  expect(reads.findings).toEqual([]);
});

test('all are ready only when they say so at the same time', async () => {
  const [a, b] = nodes.map(({ address }) => address);
  nodes[1]!.life = null;
  const ready = untilReady([a!, b!]);
  expect(await readinessOf(b!)).toMatchObject({ ready: false });
  // The first one was ready when the second was not; what counts is what it says when that is ready too.
  nodes[0]!.life = 'a, second life';
  nodes[1]!.life = 'b, second life';
  expect([...(await ready).values()]).toEqual(['a, second life', 'b, second life']);
});

test('a wrong or missing key of the stock is told, with the node', async () => {
  for (const node of nodes) {
    node.answer = ([, key]) => {
      const value = key!.replace('stock:', 'value-');
      if (node === nodes[1] && key === 'stock:1') return '$-1\r\n';
      return `$${value.length}\r\n${value}\r\n`;
    };
  }
  const target = { nodes: nodes.map(({ address }) => address) };
  expect(await missingStock(target, reads, 3)).toEqual(['stock:1 on b is null; right: value-1']);
});
