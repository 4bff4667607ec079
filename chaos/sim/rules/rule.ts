/**
 * Broken builds: a rule of the program is switched off by replacing its source text in a copy
 * (`copy.ts`). Nothing in the program itself knows of this, so there is no switch that somebody could
 * leave on.
 *
 * A rule that is off must be noticed twice: by the test that forces the order of its row, and by random
 * schedules of the simulator (`search.ts`).
 */
import type { Focus } from '../plan.ts';
import type { RowName } from './rows.ts';

export interface Edit {
  /** Relative to the repository. */
  readonly file: string;
  /** Occurs exactly once in it. */
  readonly from: string;
  readonly to: string;
}

/** One rule, and how it is switched off. */
export interface Rule {
  /** The row of the table of schedules that the rule belongs to; missing: it is more than one row's. */
  readonly row?: RowName;
  /** Tells the rules of one row apart; the name of a rule without a row. */
  readonly variant?: string;
  /** What holds in the program, in one sentence. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  /** The schedules in which the rule counts: they meet its trouble more often than any schedules do. */
  readonly focus?: Focus;
}

/** `row`, `row/variant`, or `variant`. */
export function nameOf({ row, variant }: Rule): string {
  return [row, variant].filter((part) => part !== undefined).join('/');
}

/** The text with the edit made. Throws when the text to replace is not there exactly once. */
export function edited(text: string, { file, from, to }: Edit): string {
  const parts = text.split(from);
  if (parts.length !== 2) {
    throw new Error(`${file} has this ${parts.length - 1} times instead of once: ${from}`);
  }
  return parts.join(to);
}
