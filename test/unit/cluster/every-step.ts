/**
 * Runs commands over several primaries with a fault at one step of them, and checks what came of it.
 *
 * A step is the delivery of a message to a host, or a batch that reaches the database. All commands run
 * at once, each on keys of its own, so that one fault meets all of them at the same step. From the fault
 * on all nodes are read without pause. At the end table, memory and replies must agree that each command
 * happened as a whole or not at all.
 */
import { expect } from 'vitest';
import { slotOf } from '../../../src/cluster/slot.ts';
import { sleep } from '../../../src/platform/clock.ts';
import { Sim } from '../../../chaos/sim/cluster.ts';

export interface Cast {
  readonly nodes: readonly string[];
  /** Where the clients are. */
  readonly coordinator: string;
  /** Primaries of a command's keys, the leader first. */
  readonly orders: readonly (readonly string[])[];
}

/** Who leads, who takes part and who is replica is another one for each command; the coordinator is none. */
export const MIXED: Cast = {
  nodes: ['a', 'b', 'c', 'd'],
  coordinator: 'd',
  orders: [
    ['a', 'b'],
    ['b', 'a'],
    ['b', 'c', 'a'],
  ],
};

/** All commands take the same steps: a leads, b takes part, c is replica, third participant and coordinator. */
export const FIXED: Cast = {
  nodes: ['a', 'b', 'c'],
  coordinator: 'c',
  orders: [
    ['a', 'b'],
    ['a', 'b', 'c'],
  ],
};

export const LEASE_MS = 300;
/** Readers pause this long between rounds. */
const READ_PAUSE_MS = 25;

/** Values by key; undefined: no such key. */
type State = Readonly<Record<string, string | undefined>>;

interface Transaction {
  readonly command: readonly string[];
  readonly keys: readonly string[];
  readonly before: State;
  readonly after: State;
  readonly reply: string;
}

/** What became of one command so far. */
interface Course {
  readonly transaction: Transaction;
  reply: string | undefined;
  /** Its reply, or a read that shows what it did, was complete: no later read may show the old state. */
  seen: boolean;
}

/** What goes wrong, and what makes it good again. */
export interface Fault {
  /** Which deliveries count as steps. */
  counts(from: string, to: string): boolean;
  strike(sim: Sim, at: { from: string; to: string }): void;
  /** Resolves when the cluster has all its nodes again. */
  heal(sim: Sim): Promise<void>;
  /** Nodes that cannot be read until it is healed. */
  readonly lost: readonly string[];
  /** Commands and reads may be refused as not done besides. */
  readonly refuses?: boolean;
}

/** What a command may be told instead of its reply. */
const NOT_OK = /^-(UNKNOWN outcome unknown|(NOTDONE|STOREDOWN) .*nothing was changed$)/;
const REFUSED = /^-(NOTDONE|STOREDOWN) .*nothing was changed$/;

function stateOf(keys: readonly string[], value: string | undefined): State {
  return Object.fromEntries(keys.map((key) => [key, value]));
}

/** MSET, MSETNX and DEL over some primaries; each name gives a key of its own for each of them. */
function overAll(keysOn: (primaries: readonly string[]) => string[], primaries: readonly string[]) {
  const pairs = (keys: readonly string[]): string[] => keys.flatMap((key) => [key, 'new']);
  const [mset, msetnx, refused, del] = [0, 1, 2, 3].map(() => keysOn(primaries));
  const taken = { ...stateOf(refused!, undefined), [refused!.at(-1)!]: 'old' };
  return [
    transaction(['MSET', ...pairs(mset!)], stateOf(mset!, 'old'), stateOf(mset!, 'new'), '+OK'),
    transaction(
      ['MSETNX', ...pairs(msetnx!)],
      stateOf(msetnx!, undefined),
      stateOf(msetnx!, 'new'),
      ':1',
    ),
    transaction(['MSETNX', ...pairs(refused!)], taken, taken, ':0'),
    transaction(
      ['DEL', ...del!],
      stateOf(del!, 'old'),
      stateOf(del!, undefined),
      `:${primaries.length}`,
    ),
  ];
}

function overTwo(keysOn: (primaries: readonly string[]) => string[], primaries: readonly string[]) {
  const [from, to] = keysOn(primaries) as [string, string];
  const [source, copy] = keysOn(primaries) as [string, string];
  return [
    transaction(
      ['RENAME', from, to],
      { [from]: 'moved', [to]: 'old' },
      { [from]: undefined, [to]: 'moved' },
      '+OK',
    ),
    transaction(
      ['COPY', source, copy, 'REPLACE'],
      { [source]: 'kept', [copy]: 'old' },
      { [source]: 'kept', [copy]: 'kept' },
      ':1',
    ),
  ];
}

function transaction(command: string[], before: State, after: State, reply: string): Transaction {
  return { command, keys: Object.keys(before), before, after, reply };
}

function lineOf(keys: readonly string[], state: State): string {
  const values = keys.map((key) => state[key]);
  const bulks = values.map((value) => (value === undefined ? '$-1' : `$${value.length} ${value}`));
  return `*${keys.length} ${bulks.join(' ')}`;
}

export class EveryStep {
  readonly sim: Sim;
  readonly #transactions: readonly Transaction[];
  #onDelivery: ((from: string, to: string) => void) | null = null;

  readonly #cast: Cast;

  static async start(cast: Cast): Promise<EveryStep> {
    const sim = new Sim({ leaseMs: LEASE_MS, leaseMarginMs: 20, replicas: 2 });
    await sim.startAll(...cast.nodes);
    return new EveryStep(sim, cast);
  }

  private constructor(sim: Sim, cast: Cast) {
    this.sim = sim;
    this.#cast = cast;
    let keys = 0;
    const keysOn = (primaries: readonly string[]): string[] =>
      primaries.map((name) => sim.keyOn(name, `t${keys++}:`));
    this.#transactions = cast.orders.flatMap((order) => [
      ...overAll(keysOn, order),
      ...(order.length === 2 ? overTwo(keysOn, order) : []),
    ]);
    this.#tap();
  }

  /** Reports every delivery of a message, before it happens. */
  #tap(): void {
    const { network, database } = this.sim;
    const carry = network.carry.bind(network);
    network.carry = (pipe, deliver) =>
      carry(pipe, () => {
        this.#onDelivery?.(pipe.from.name, pipe.to.name);
        deliver();
      });
    database.refuse = (_batch, self) => {
      this.#onDelivery?.('database', self.node);
      return null;
    };
  }

  /** Faults at step 1, 2, 3 ... until the commands are done before the step comes. Returns how many there were. */
  async sweep(fault: Fault): Promise<number> {
    for (let step = 1; ; step++) {
      if (!(await this.#run(fault, step))) return step - 1;
      expect(step).toBeLessThan(1000);
    }
  }

  /** True when the step was reached. */
  async #run(fault: Fault, step: number): Promise<boolean> {
    const { sim } = this;
    await this.#reset();
    const courses = this.#transactions.map((one): Course => {
      return { transaction: one, reply: undefined, seen: false };
    });
    let left = step;
    const struck = { done: false };
    this.#onDelivery = (from, to) => {
      if (!fault.counts(from, to) || --left > 0 || struck.done) return;
      struck.done = true;
      fault.strike(sim, { from, to });
    };
    for (const course of courses) {
      const { command } = course.transaction;
      void sim
        .client(this.#cast.coordinator)
        .send(...command)
        .then((reply) => {
          course.reply = reply;
          course.seen ||= reply === course.transaction.reply;
        });
    }
    const isQuiet = (): boolean => courses.every(({ reply }) => reply !== undefined) && this.#quiet;
    for (let ms = 0; ms < 100 && !struck.done && !isQuiet(); ms++) await sim.run(1);
    if (struck.done) await this.#recover(fault, courses);
    this.#onDelivery = null;
    await this.#check(courses, `step ${step}`, struck.done ? fault.lost : []);
    return struck.done;
  }

  async #recover(fault: Fault, courses: readonly Course[]): Promise<void> {
    const { sim } = this;
    const reading = { on: true };
    const nodes = this.#cast.nodes.filter((name) => !fault.lost.includes(name));
    const readers = nodes.map((name) => this.#read(name, courses, reading, fault));
    await sim.run(30);
    await fault.heal(sim);
    const coordinated = !fault.lost.includes(this.#cast.coordinator);
    const isOver = (): boolean => !coordinated || courses.every(({ reply }) => reply !== undefined);
    await sim.until(isOver, 8000, 'every command is answered');
    await sim.run(30);
    reading.on = false;
    await sim.wait(Promise.all(readers));
  }

  /** Reads the keys of all commands, over and over: never one half, and never the old state after the new one. */
  async #read(
    name: string,
    courses: readonly Course[],
    reading: { on: boolean },
    { refuses = false }: Fault,
  ): Promise<void> {
    const { sim } = this;
    while (reading.on) {
      const rounds = courses.map(async (course) => {
        const { keys, before, after } = course.transaction;
        const seen = course.seen;
        const line = await sim.client(name).send('MGET', ...keys);
        if (refuses && REFUSED.test(line)) return;
        const isNew = line === lineOf(keys, after);
        const expected = lineOf(keys, seen ? after : before);
        // Compared first, as `expect` takes longer than the read.
        if (line !== expected && (seen || !isNew)) {
          expect.fail(
            `${name} reads ${line} of ${course.transaction.command.join(' ')}, not ${expected}`,
          );
        }
        if (isNew && line !== lineOf(keys, before)) course.seen = true;
      });
      await Promise.all(rounds);
      await sleep(sim.time, READ_PAUSE_MS);
    }
  }

  /** The keys get their old values, through the front door. */
  async #reset(): Promise<void> {
    const { sim } = this;
    const sent = this.#transactions.flatMap(({ before }) =>
      Object.entries(before).map(([key, value]) =>
        sim.client('a').send(...(value === undefined ? ['DEL', key] : ['SET', key, value])),
      ),
    );
    const replies = await sim.wait(Promise.all(sent));
    expect(replies.filter((reply) => reply.startsWith('-'))).toEqual([]);
    await sim.until(() => this.#quiet, 1000, 'the values are settled');
  }

  /** Nothing is under way on any node. */
  get #quiet(): boolean {
    return this.#cast.nodes.every((name) => {
      const { engine } = this.sim.node(name).life;
      return engine.gates.empty && engine.operations.pendingCount === 0;
    });
  }

  async #check(courses: readonly Course[], label: string, lost: readonly string[]): Promise<void> {
    const { sim } = this;
    await sim.until(() => this.#quiet, 3000, `${label}: nothing is held or under way any more`);
    await sim.run(20);
    for (const { transaction: one, reply, seen } of courses) {
      const where = `${label}: ${one.command.join(' ')} -> ${reply}`;
      const table = lineOf(one.keys, this.#table(one.keys));
      const [before, after] = [one.before, one.after].map((state) => lineOf(one.keys, state));
      if (reply === undefined) expect(lost, where).toContain(this.#cast.coordinator);
      else if (reply !== one.reply) expect(reply, where).toMatch(NOT_OK);
      const mayBe = seen ? [after] : REFUSED.test(reply ?? '') ? [before] : [before, after];
      expect(mayBe, where).toContain(table);
      this.#checkMemory(one.keys, where);
    }
    const reads = this.#cast.nodes.flatMap((name) =>
      courses.map(async ({ transaction: { keys } }) => {
        const line = await sim.client(name).send('MGET', ...keys);
        const table = lineOf(keys, this.#table(keys));
        if (line !== table) expect.fail(`${label}: ${name} reads ${line}, not ${table}`);
      }),
    );
    await sim.wait(Promise.all(reads));
  }

  #table(keys: readonly string[]): State {
    return Object.fromEntries(keys.map((key) => [key, this.sim.database.valueOf(key)]));
  }

  /** What is clean in the memory of an owner equals the table. */
  #checkMemory(keys: readonly string[], where: string): void {
    for (const key of keys) {
      for (const name of this.sim.ownersOf(key)) {
        const entry = this.sim.node(name).life.keyspace.find(slotOf(key), 0, key);
        if (entry === undefined) continue;
        if (entry.dirty !== 0) expect.fail(`${where}: ${key} on ${name} is still marked`);
        const [value, row] = [entry.value ?? undefined, this.sim.database.valueOf(key)];
        if (value !== row) expect.fail(`${where}: ${key} on ${name} is ${value}, not ${row}`);
      }
    }
  }
}
