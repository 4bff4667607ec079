/**
 * Order under trouble: clients append to keys in long pipelines while nodes join, stop and lose their
 * connections. What must hold for every client, whatever happened: replies come in order; what was
 * acknowledged is there once; what was reported as not done is not there; items of one client on one key are
 * in the order in which they were sent.
 */
import { describe, expect, test } from 'vitest';
import type { SimClient } from '../../../chaos/sim/client.ts';
import { Sim } from '../../../chaos/sim/cluster.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';

interface Sent {
  readonly client: number;
  readonly key: string;
  readonly item: string;
  reply: string;
}

const KEYS = 6;
const CLIENTS = 6;

class Workload {
  readonly sent: Sent[] = [];
  readonly #sim: Sim;
  readonly #random: SeededRandom;
  readonly #clients: { readonly connection: SimClient; open: number }[] = [];
  #item = 0;

  constructor(sim: Sim, seed: number, names: readonly string[]) {
    this.#sim = sim;
    this.#random = new SeededRandom(seed);
    for (let i = 0; i < CLIENTS; i++) {
      this.#clients.push({ connection: sim.client(names[i % names.length]!), open: 0 });
    }
  }

  /** A few pipelined commands of every client, now and then with a read or a command over several keys. */
  burst(): void {
    this.#clients.forEach((client, index) => {
      if (client.open > 50) return;
      for (let i = this.#random.below(4); i >= 0; i--) this.#append(client, index);
      if (this.#random.below(3) === 0) void client.connection.send('GET', this.#key());
      if (this.#random.below(8) === 0)
        void client.connection.send('MGET', this.#key(), this.#key());
    });
  }

  #append(client: { connection: SimClient; open: number }, index: number): void {
    const sent: Sent = {
      client: index,
      key: this.#key(),
      item: `${index}.${this.#item++}`,
      reply: '',
    };
    this.sent.push(sent);
    client.open++;
    void client.connection.send('APPEND', sent.key, `${sent.item};`).then((reply) => {
      sent.reply = reply;
      client.open--;
    });
  }

  #key(): string {
    return `key${this.#random.below(KEYS)}`;
  }

  async run(ms: number): Promise<void> {
    for (let i = 0; i < ms; i += 10) {
      this.burst();
      await this.#sim.run(10);
    }
  }

  async drain(): Promise<void> {
    await this.#sim.until(
      () => this.sent.every(({ reply }) => reply !== ''),
      20_000,
      'all are answered',
    );
  }
}

function check(workload: Workload, values: ReadonlyMap<string, string>): void {
  for (const [key, value] of values) {
    const items = value.split(';').filter((item) => item !== '');
    expect(new Set(items).size, `${key} has an item twice`).toBe(items.length);
    const place = new Map(items.map((item, i) => [item, i]));
    const last = new Array<number>(CLIENTS).fill(-1);
    for (const { client, item, reply } of workload.sent.filter((sent) => sent.key === key)) {
      const at = place.get(item);
      const unknown = reply.startsWith('-UNKNOWN');
      if (reply.startsWith(':')) expect(at, `${item} was acknowledged`).toBeDefined();
      else if (!unknown) expect(at, `${item} was reported as not done: ${reply}`).toBeUndefined();
      // One of unknown outcome may take effect late; the others may not.
      if (at === undefined || unknown) continue;
      expect(at, `${item} is out of order`).toBeGreaterThan(last[client]!);
      last[client] = at;
    }
  }
}

async function readAll(sim: Sim, name: string): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  const client = sim.client(name);
  for (let i = 0; i < KEYS; i++) {
    const reply = await sim.wait(client.send('GET', `key${i}`));
    values.set(`key${i}`, reply.startsWith('$-1') ? '' : reply.slice(reply.indexOf(' ') + 1));
  }
  return values;
}

async function verify(sim: Sim, workload: Workload, names: readonly string[]): Promise<void> {
  await workload.drain();
  await sim.run(100);
  const first = await readAll(sim, names[0]!);
  check(workload, first);
  for (const name of names) expect(await readAll(sim, name)).toEqual(first);
  for (const [key, value] of first) expect(sim.database.valueOf(key) ?? '').toBe(value);
}

describe('commands of one client on one slot', () => {
  test.each([1, 2])(
    'take effect in order while a node joins, and none fails (seed %i)',
    async (seed) => {
      const sim = new Sim({ seed });
      await sim.startAll('a', 'b', 'c');
      const workload = new Workload(sim, seed, ['a', 'b', 'c']);
      await workload.run(100);
      sim.startNode('d');
      await workload.run(1500);
      await sim.settle('a', 'b', 'c', 'd');
      await verify(sim, workload, ['a', 'b', 'c', 'd']);
      expect(
        workload.sent.filter(({ reply }) => reply.startsWith('-')).map(({ reply }) => reply),
      ).toEqual([]);
    },
  );

  test.each([1])(
    'take effect in order while connections to the database break (seed %i)',
    async (seed) => {
      const sim = new Sim({ seed });
      await sim.startAll('a', 'b', 'c');
      const workload = new Workload(sim, seed, ['a', 'b', 'c']);
      for (let i = 0; i < 10; i++) {
        await workload.run(40);
        sim.database.breakLane(['a', 'b', 'c'][i % 3]!);
      }
      await verify(sim, workload, ['a', 'b', 'c']);
      expect(
        workload.sent.filter(({ reply }) => reply.startsWith('-')).map(({ reply }) => reply),
      ).toEqual([]);
    },
  );

  test.each([1])('take effect in order while links break (seed %i)', async (seed) => {
    const sim = new Sim({ seed });
    await sim.startAll('a', 'b', 'c');
    const workload = new Workload(sim, seed, ['a', 'b', 'c']);
    for (let i = 0; i < 10; i++) {
      await workload.run(40);
      sim.network.break(['a', 'b', 'c'][i % 3]!, ['b', 'c', 'a'][i % 3]!);
    }
    await verify(sim, workload, ['a', 'b', 'c']);
  });

  test.each([1])('take effect in order while a node dies (seed %i)', async (seed) => {
    const sim = new Sim({ seed });
    await sim.startAll('a', 'b', 'c');
    const workload = new Workload(sim, seed, ['a', 'b']);
    await workload.run(200);
    sim.kill('c');
    await workload.run(3000);
    await sim.settle('a', 'b');
    await verify(sim, workload, ['a', 'b']);
  });

  test.each([1, 2])(
    'take effect in order while rows are refused and a node joins (seed %i)',
    async (seed) => {
      const sim = new Sim({ seed });
      await sim.startAll('a', 'b', 'c');
      const random = new SeededRandom(seed);
      sim.database.refuse = () => (random.below(20) === 0 ? 'no space left' : null);
      const workload = new Workload(sim, seed, ['a', 'b', 'c']);
      await workload.run(300);
      sim.startNode('d');
      await workload.run(1500);
      await sim.settle('a', 'b', 'c', 'd');
      await verify(sim, workload, ['a', 'b', 'c', 'd']);
    },
  );

  test.each([1])(
    'take effect in order while a node is paused and wakes (seed %i)',
    async (seed) => {
      const sim = new Sim({ seed });
      await sim.startAll('a', 'b', 'c');
      const workload = new Workload(sim, seed, ['a', 'b']);
      await workload.run(100);
      sim.node('c').host.pause();
      await workload.run(3000);
      sim.node('c').host.wake();
      await workload.run(500);
      await sim.settle('a', 'b', 'c');
      await verify(sim, workload, ['a', 'b', 'c']);
    },
  );

  test('waits for what an older view left undecided, on its primary (retry-out-of-order)', async () => {
    const { sim, key, client } = await undecided('a');
    const second = client.send('SET', key, 'second');
    // Before the view that settles the new node ends everything once more.
    await sim.run(1);
    sim.database.releaseBatches('a');
    expect(await sim.wait(second)).toBe('+OK');
    expect(client.replies).toEqual(['+OK', '+OK']);
    expect(sim.database.valueOf(key)).toBe('second');
  });

  test('waits for what an older view left undecided, from another node (retry-out-of-order)', async () => {
    const { sim, key, client } = await undecided('b');
    const second = client.send('SET', key, 'second');
    // Before the view that settles the new node ends everything once more.
    await sim.run(1);
    sim.database.releaseBatches('a');
    expect(await sim.wait(second)).toBe('+OK');
    expect(client.replies).toEqual(['+OK', '+OK']);
    expect(sim.database.valueOf(key)).toBe('second');
  });

  test.each(['a', 'b'])(
    'that waits for a load over a change of view is sent back too (from %s)',
    async (name) => {
      const { sim, key, client } = await undecided(name, (other) => [
        ['SET', other.key, 'first'],
        ['RENAME', other.key, `{${other.key}}target`],
      ]);
      await sim.run(100);
      sim.database.releaseBatches('a');
      await sim.until(() => client.replies.length === 2, 6000, 'both are answered');
      expect(client.replies).toEqual(['+OK', '+OK']);
      expect(sim.database.valueOf(key)).toBeUndefined();
      expect(sim.database.valueOf(`{${key}}target`)).toBe('first');
    },
  );
});

/** A pipeline of commands whose first batch is held in the database over a change of view. */
async function undecided(
  name: string,
  commands: (on: { key: string }) => string[][] = ({ key }) => [['SET', key, 'first']],
): Promise<{ sim: Sim; key: string; client: SimClient }> {
  const sim = new Sim();
  await sim.startAll('a', 'b', 'c');
  const key = sim.keyOn('a');
  sim.database.seed(key, 'old');
  sim.database.loadDelayMs = 2000;
  sim.database.holdBatches('a');
  const { epoch } = sim.node('a').cluster;
  sim.startNode('d');
  const client = sim.client(name);
  for (const args of commands({ key })) void client.send(...args);
  await sim.until(() => sim.database.heldBatches > 0, 100, 'the batch is sent');
  expect(sim.node('a').cluster.epoch).toBe(epoch);
  await sim.until(() => sim.node('a').cluster.epoch > epoch, 2000, 'the view is adopted');
  return { sim, key, client };
}
