/**
 * Commands that follow each other in the input, and where their arguments lie there: so they can be looked at without
 * making strings.
 */

/** Most commands and arguments (names included) at a time: the memory they name is to stay in the processor's cache. */
export const FRAMES_MAX = 64;
export const ARGUMENTS_MAX = 256;

const NO_BYTES = Buffer.alloc(0);

/** One for many connections, to be cleared for each use. `RequestDecoder.peek` adds commands. */
export class Frames {
  /** What the positions are in. Not to be kept: its memory is used for other things soon. */
  bytes: Buffer = NO_BYTES;
  /** Number of commands. */
  count = 0;
  /** The arguments of a command, its name first, are those from `firsts[i]` to before `firsts[i + 1]`. */
  readonly firsts = new Int32Array(FRAMES_MAX + 1);
  readonly starts = new Int32Array(ARGUMENTS_MAX);
  readonly ends = new Int32Array(ARGUMENTS_MAX);
  /** Where each command ends, and the next one begins. */
  readonly commandEnds = new Int32Array(FRAMES_MAX);

  clear(): void {
    this.bytes = NO_BYTES;
    this.count = 0;
  }

  dropLast(): void {
    this.count--;
  }
}
