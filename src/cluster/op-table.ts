/**
 * The operations that are not settled, by number. Numbers follow each other without gaps and leave
 * roughly in order, so an array with a moving start serves: no hashing, nothing to rebuild.
 */
import type { Op } from './op.ts';

export class OpTable {
  #ops: (Op | undefined)[] = [];
  /** Number of the operation at index 0. */
  #base = 1;
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes the operation whose number is the next one. */
  add(op: Op): void {
    if (this.#ops.length === 0) this.#base = op.no;
    this.#ops.push(op);
    this.#size++;
  }

  get(no: number): Op | undefined {
    return this.#ops[no - this.#base];
  }

  /** Returns whether it was there. */
  delete(no: number): boolean {
    const index = no - this.#base;
    if (this.#ops[index] === undefined) return false;
    this.#ops[index] = undefined;
    this.#size--;
    this.#shrink();
    return true;
  }

  clear(): void {
    this.#ops = [];
    this.#head = 0;
    this.#size = 0;
  }

  /** In order of their numbers; what is added meanwhile comes too. */
  *values(): Generator<Op, void> {
    for (let index = this.#head; index < this.#ops.length; index++) {
      const op = this.#ops[index];
      if (op !== undefined) yield op;
    }
  }

  #shrink(): void {
    if (this.#size === 0) return this.clear();
    while (this.#ops[this.#head] === undefined) this.#head++;
    if (this.#head < 1024 || this.#head * 2 < this.#ops.length) return;
    this.#ops = this.#ops.slice(this.#head);
    this.#base += this.#head;
    this.#head = 0;
  }
}
