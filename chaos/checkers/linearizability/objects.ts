/** A history cut into the objects that can be judged one by one (P-compositionality: Horn, Kroening 2015). */
import type { Operation } from '../../history.ts';
import { keysOf } from './keyspace-model.ts';

export interface Judged {
  readonly keys: readonly string[];
  readonly operations: readonly Operation[];
}

/** One object for each key; keys that one command names together are one object. Sorted by first key. */
export function objectsOf(operations: readonly Operation[]): Judged[] {
  const keysOfEach = operations.map(({ command }) => keysOf(command));
  const groups = new Groups();
  for (const keys of keysOfEach) groups.join(keys);
  const members = new Map<string, { keys: Set<string>; operations: Operation[] }>();
  operations.forEach((operation, i) => {
    const keys = keysOfEach[i]!;
    const root = groups.rootOf(keys[0]!);
    const object = members.get(root) ?? { keys: new Set(), operations: [] };
    members.set(root, object);
    for (const key of keys) object.keys.add(key);
    object.operations.push(operation);
  });
  const objects = [...members.values()].map(({ keys, operations: own }) => ({
    keys: [...keys].sort(),
    operations: own,
  }));
  return objects.sort((a, b) => (a.keys[0]! < b.keys[0]! ? -1 : 1));
}

/** Disjoint sets of keys, by union and find with halved paths. */
class Groups {
  readonly #parents = new Map<string, string>();

  rootOf(key: string): string {
    let at = key;
    for (;;) {
      const parent = this.#parents.get(at);
      if (parent === undefined) {
        this.#parents.set(at, at);
        return at;
      }
      if (parent === at) return at;
      const grandparent = this.#parents.get(parent)!;
      this.#parents.set(at, grandparent);
      at = grandparent;
    }
  }

  join(keys: readonly string[]): void {
    const root = this.rootOf(keys[0]!);
    for (const key of keys.slice(1)) this.#parents.set(this.rootOf(key), root);
  }
}
