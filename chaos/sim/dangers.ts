/**
 * What may cost nodes their place, and what did: each fault accounts for so many removals of any of some nodes.
 *
 * Whether all removals are accounted for is a matching. Greedily, the removal of a paused node can use up the one
 * that a later cut allows to any node, and the victim of that cut is then nobody's; so older removals move to
 * another fault where that makes room (an augmenting path, as in every text on bipartite matching).
 */

interface Danger {
  readonly nodes: ReadonlySet<string>;
  readonly lives: number;
  readonly removals: Removal[];
}

interface Removal {
  readonly node: string;
  /** The dangers that there were when it happened: what comes later explains nothing. */
  readonly dangers: readonly Danger[];
}

export class Dangers {
  readonly #dangers: Danger[] = [];

  /** From now on these nodes may be removed, `lives` times in all. */
  add(nodes: readonly string[], lives: number): void {
    this.#dangers.push({ nodes: new Set(nodes), lives, removals: [] });
  }

  /** A life of the node was removed. False: with all removals before it, nothing accounts for it. */
  accountFor(node: string): boolean {
    return this.#place({ node, dangers: [...this.#dangers] }, new Set());
  }

  #place(removal: Removal, tried: Set<Danger>): boolean {
    for (const danger of removal.dangers) {
      if (tried.has(danger) || !danger.nodes.has(removal.node)) continue;
      tried.add(danger);
      if (danger.removals.length >= danger.lives) {
        const moved = danger.removals.find((other) => this.#place(other, tried));
        if (moved === undefined) continue;
        danger.removals.splice(danger.removals.indexOf(moved), 1);
      }
      danger.removals.push(removal);
      return true;
    }
    return false;
  }
}
