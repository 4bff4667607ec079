/** One command on its way through a primary. */
import type { Prepared } from './execute.ts';

export abstract class Task {
  readonly prepared: Prepared;
  /** Monotonic milliseconds after which nobody waits for the answer any more. */
  readonly deadlineMs: number;
  /** The answer must carry the versions of what was read. */
  readonly wantVersions: boolean;
  /**
   * Epoch in which it was handed to the engine; 0: not yet. It runs in that one or not at all: what its
   * client sent before it may be undecided over a change of view, and must not be overtaken.
   */
  epoch = 0;
  /** It has run; only its reply may still be held. Later commands of the same client may run now. */
  executed = false;

  constructor(prepared: Prepared, deadlineMs: number, wantVersions = false) {
    this.prepared = prepared;
    this.deadlineMs = deadlineMs;
    this.wantVersions = wantVersions;
  }

  /** It has just run (called once, before or together with the answer). */
  abstract onExecuted(): void;
  /** The encoded reply; errors that are certain ("nothing was changed", "outcome unknown") included. */
  abstract onReply(reply: string, versions: string): void;
  /** Certainly not done here: try again where the primary is now. */
  abstract onNotDone(): void;
}
