import type { History } from '../history.ts';

/** What was found after the clients stopped and the cluster was whole again. */
export interface FinalState {
  /** Place (a node's name, or `sql`) to its values by key; a key that is not there is missing. */
  readonly places: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Something that must hold for every history. */
export interface Checker {
  readonly name: string;
  /** One line per violation; none means that it holds. */
  check(history: History, state: FinalState): string[];
}
