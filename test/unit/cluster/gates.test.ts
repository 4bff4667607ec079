import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Gates, Hold } from '../../../src/cluster/gates.ts';
import type { Prepared } from '../../../src/cluster/execute.ts';
import { Task } from '../../../src/cluster/task.ts';

class KeyTask extends Task {
  readonly id: string;
  readonly no: number;
  constructor(id: string, no: number, deadlineMs = Infinity) {
    super({} as Prepared, deadlineMs);
    this.id = id;
    this.no = no;
  }
  override onExecuted(): void {
    // Not looked at here.
  }
  override onReply(): void {
    // Not looked at here.
  }
  override onNotDone(): void {
    // Not looked at here.
  }
}

interface Fixture {
  readonly gates: Gates;
  readonly ran: KeyTask[];
  readonly submit: (task: KeyTask) => void;
}

function setUp(): Fixture {
  const ran: KeyTask[] = [];
  const submit = (task: Task): void => {
    const keyed = task as KeyTask;
    if (gates.blocks(keyed.id)) gates.park(keyed.id, keyed);
    else ran.push(keyed);
  };
  const gates = new Gates(submit, () => undefined);
  return { gates, ran, submit };
}

describe('a gate', () => {
  test('lets commands and holds through in the order in which they came', () => {
    const { gates, ran, submit } = setUp();
    const events: string[] = [];
    const first = new Hold(['k'], () => events.push('first'));
    gates.acquire(first);
    submit(new KeyTask('k', 1));
    const second = new Hold(['k'], () => events.push('second'));
    gates.acquire(second);
    submit(new KeyTask('k', 2));
    expect(events).toEqual(['first']);
    gates.release(first);
    expect(events).toEqual(['first', 'second']);
    expect(ran.map(({ no }) => no)).toEqual([1]);
    gates.release(second);
    expect(ran.map(({ no }) => no)).toEqual([1, 2]);
    expect(gates.empty).toBe(true);
    expect(gates.parked).toBe(0);
  });

  test('forgets a hold that is given up before it was granted', () => {
    const { gates, ran, submit } = setUp();
    const first = new Hold(['k', 'm'], () => undefined);
    const second = new Hold(['m', 'n'], () => undefined);
    gates.acquire(first);
    gates.acquire(second);
    submit(new KeyTask('n', 1));
    gates.release(second);
    expect(ran).toHaveLength(1);
    gates.release(first);
    expect(second.granted).toBe(false);
    expect(gates.empty).toBe(true);
  });

  test('hands out late commands once, and the rest when a view ends everything', () => {
    const { gates, submit } = setUp();
    let dropped = 0;
    const hold = new Hold(['k'], () => undefined);
    hold.onDropped = () => dropped++;
    gates.acquire(hold);
    submit(new KeyTask('k', 1, 100));
    submit(new KeyTask('k', 2, 200));
    expect(gates.takeTasks(150).map((task) => (task as KeyTask).no)).toEqual([1]);
    expect(gates.parked).toBe(1);
    expect(gates.clear().map((task) => (task as KeyTask).no)).toEqual([2]);
    expect([dropped, gates.parked, gates.empty, gates.held]).toEqual([1, 0, true, 0]);
  });

  test('holds every key once, runs every command once and in order, and never gets stuck', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('hold' as const),
        keys: fc.array(key, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ kind: fc.constant('task' as const), key }),
      fc.record({ kind: fc.constant('release' as const), which: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { gates, ran, submit } = setUp();
        const holds: Hold[] = [];
        let no = 0;
        for (const one of steps) {
          if (one.kind === 'task') submit(new KeyTask(one.key, no++));
          else if (one.kind === 'hold') {
            const hold: Hold = new Hold(one.keys, () => {
              for (const other of holds) {
                const clash =
                  other !== hold &&
                  other.granted &&
                  !other.released &&
                  other.ids.some((id) => hold.ids.includes(id));
                expect(clash).toBe(false);
              }
            });
            holds.push(hold);
            gates.acquire(hold);
          } else if (holds.length > 0) gates.release(holds[one.which % holds.length]!);
          expect(gates.held).toBe(holds.filter((hold) => hold.granted && !hold.released).length);
        }
        for (const hold of holds) {
          // In the order of their requests each one is granted when all before it are over.
          expect(hold.released || hold.granted).toBe(true);
          gates.release(hold);
        }
        expect(ran).toHaveLength(no);
        for (const id of ['a', 'b', 'c']) {
          const order = ran.filter((task) => task.id === id).map((task) => task.no);
          expect([...order].sort((x, y) => x - y)).toEqual(order);
        }
        expect([gates.empty, gates.parked, gates.held]).toEqual([true, 0, 0]);
      }),
      { numRuns: 300, seed: 4 },
    );
  });
});
