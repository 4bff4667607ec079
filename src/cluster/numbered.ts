/**
 * What is under way, by number. Numbers follow each other without gaps and leave roughly in order, so
 * an array with a moving start serves: no hashing, nothing to rebuild.
 *
 * And nothing that keeps garbage alive. A Map that things enter and leave all the time is rebuilt every few
 * dozen of them, and V8 lets each old table point at the next one: once one of them is in the old generation, all that
 * follow, and whatever they held when they were given up, are kept until the next full collection.
 */
export class Numbered<T extends object> {
  #items: (T | undefined)[] = [];
  /** Number of the item at index 0. */
  #base = 1;
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes the item of the next number. */
  add(number: number, item: T): void {
    if (this.#items.length === 0) this.#base = number;
    this.#items.push(item);
    this.#size++;
  }

  get(number: number): T | undefined {
    return this.#items[number - this.#base];
  }

  /** Returns whether it was there. */
  delete(number: number): boolean {
    const index = number - this.#base;
    if (this.#items[index] === undefined) return false;
    this.#items[index] = undefined;
    this.#size--;
    this.#shrink();
    return true;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#size = 0;
  }

  /** In order of their numbers; what is added meanwhile comes too. Nothing may be deleted meanwhile. */
  *values(): Generator<T, void> {
    for (let index = this.#head; index < this.#items.length; index++) {
      const item = this.#items[index];
      if (item !== undefined) yield item;
    }
  }

  #shrink(): void {
    if (this.#size === 0) return this.clear();
    while (this.#items[this.#head] === undefined) this.#head++;
    if (this.#head < 1024 || this.#head * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#base += this.#head;
    this.#head = 0;
  }
}
