/**
 * A queue whose items leave in the order they came. `Array.shift` moves everything behind it; this moves a start, and forgets
 * at once what has left: an item that is only kept until the array is cut survives collections for nothing.
 */
export class Fifo<T extends object> {
  #items: (T | null)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The oldest item; null when there is none. */
  peek(): T | null {
    return this.#items[this.#head] ?? null;
  }

  /** Takes the oldest item out; null when there is none. */
  shift(): T | null {
    const item = this.#items[this.#head];
    if (item === undefined) return null;
    this.#items[this.#head++] = null;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes all out, oldest first. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
