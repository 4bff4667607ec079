/**
 * Gates: keys that commands must wait for, because a transaction over several owners holds them.
 *
 * Each held key has one queue, first come, first served, of commands and further holds; so a hold on
 * a key that is written without pause gets its turn (schedule hot-key-hold), and commands behind it
 * wait for its end. A hold on several keys joins all queues in the same instant, so two holds here
 * can never wait for each other; across nodes the leader asks in one global order.
 */
import type { Task } from './task.ts';

export class Hold {
  readonly ids: readonly string[];
  /** Keys at whose head it is not yet. */
  waiting = 0;
  granted = false;
  released = false;
  readonly onGranted: () => void;
  /** Called when it is over, released or dropped. */
  readonly onOver: (() => void)[] = [];
  /** A new view ended it. */
  onDropped: (() => void) | null = null;

  constructor(ids: readonly string[], onGranted: () => void) {
    this.ids = [...new Set(ids)];
    this.onGranted = onGranted;
  }
}

interface Gate {
  owner: Hold | null;
  queue: (Task | Hold)[];
  draining: boolean;
}

export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #resubmit: (task: Task) => void;
  readonly #onUnheld: () => void;
  #parked = 0;
  readonly #granted = new Set<Hold>();

  /** `onUnheld` is called when the last granted hold has been released. */
  constructor(resubmit: (task: Task) => void, onUnheld: () => void) {
    this.#resubmit = resubmit;
    this.#onUnheld = onUnheld;
  }

  /** Holds that are granted and not released. */
  get held(): number {
    return this.#granted.size;
  }

  /** Calls back when all holds that are granted now are over; those granted later do not count. */
  whenOver(then: () => void): void {
    let left = this.#granted.size;
    if (left === 0) return then();
    for (const hold of this.#granted) {
      hold.onOver.push(() => {
        if (--left === 0) then();
      });
    }
  }

  get empty(): boolean {
    return this.#gates.size === 0;
  }

  /** Commands that wait. */
  get parked(): number {
    return this.#parked;
  }

  blocks(id: string): boolean {
    const gate = this.#gates.get(id);
    if (gate === undefined) return false;
    return gate.owner !== null || (gate.queue.length > 0 && !gate.draining);
  }

  /** Lets the task wait at a blocked key; it is submitted again afterwards. */
  park(id: string, task: Task): void {
    this.#gates.get(id)!.queue.push(task);
    this.#parked++;
  }

  acquire(hold: Hold): void {
    for (const id of hold.ids) {
      let gate = this.#gates.get(id);
      if (gate === undefined) {
        gate = { owner: null, queue: [], draining: false };
        this.#gates.set(id, gate);
      }
      if (gate.owner === null && gate.queue.length === 0) {
        gate.owner = hold;
      } else {
        gate.queue.push(hold);
        hold.waiting++;
      }
    }
    this.#grantIfReady(hold);
  }

  release(hold: Hold): void {
    if (hold.released) return;
    hold.released = true;
    for (const id of hold.ids) {
      const gate = this.#gates.get(id);
      if (gate === undefined) continue;
      if (gate.owner === hold) {
        gate.owner = null;
        this.#drain(id, gate);
      } else {
        gate.queue = gate.queue.filter((item) => item !== hold);
      }
    }
    if (!this.#granted.delete(hold)) return;
    for (const tell of hold.onOver) tell();
    if (this.#granted.size === 0) this.#onUnheld();
  }

  /** A new view: all holds are over. Returns the waiting tasks, in order, for another try. */
  clear(): Task[] {
    const tasks: Task[] = [];
    for (const gate of this.#gates.values()) {
      if (gate.owner !== null) drop(gate.owner);
      for (const item of gate.queue) {
        if (item instanceof Hold) drop(item);
        else tasks.push(item);
      }
    }
    this.#gates.clear();
    this.#parked = 0;
    const over = [...this.#granted];
    this.#granted.clear();
    for (const hold of over) for (const tell of hold.onOver) tell();
    return tasks;
  }

  /** Takes out the tasks whose time is up; all of them when no time is given. Holds stay. */
  takeTasks(nowMs = Number.POSITIVE_INFINITY): Task[] {
    if (this.#parked === 0) return [];
    const taken: Task[] = [];
    for (const gate of this.#gates.values()) {
      gate.queue = gate.queue.filter((item) => {
        if (item instanceof Hold || item.deadlineMs > nowMs) return true;
        taken.push(item);
        return false;
      });
    }
    this.#parked -= taken.length;
    return taken;
  }

  #grantIfReady(hold: Hold): void {
    if (hold.waiting > 0 || hold.granted || hold.released) return;
    hold.granted = true;
    this.#granted.add(hold);
    hold.onGranted();
  }

  #drain(id: string, gate: Gate): void {
    if (gate.draining) return;
    gate.draining = true;
    while (gate.owner === null && gate.queue.length > 0) {
      const item = gate.queue.shift()!;
      if (item instanceof Hold) {
        gate.owner = item;
        item.waiting--;
        this.#grantIfReady(item);
      } else {
        this.#parked--;
        this.#resubmit(item);
      }
    }
    gate.draining = false;
    if (gate.owner === null && gate.queue.length === 0 && this.#gates.get(id) === gate) {
      this.#gates.delete(id);
    }
  }
}

function drop(hold: Hold): void {
  if (hold.released) return;
  hold.released = true;
  hold.onDropped?.();
}
