import type { ReplyValue } from '../../history.ts';

/** What an object does when commands come one after the other: the reference that a history is held against. */
export interface Model<State> {
  readonly initial: State;
  /** Equal for equal states, different for different ones. */
  id(state: State): string;
  /** Undefined when the command would get an error and change nothing. Never changes `state`. */
  step(state: State, command: readonly string[]): Step<State> | undefined;
  /**
   * Whether this command, when it was answered so, has changed nothing in whatever state it ran. With an
   * undefined reply, which is not known: whether it never changes anything.
   */
  changesNothing(command: readonly string[], reply: ReplyValue | undefined): boolean;
  /** A state in words, for an explanation. */
  describe(state: State): string;
}

export interface Step<State> {
  readonly state: State;
  readonly reply: ReplyValue;
}

/** Replies are compared by value. */
export function sameReply(a: ReplyValue, b: ReplyValue): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return a.length === b.length && a.every((item, i) => sameReply(item, b[i]!));
}
