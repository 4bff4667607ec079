/** Just enough of the protocol to tell where a command ends and what its name is. Pure. */

const STAR = 42;

/**
 * Calls `onCommand` with the name of each whole command in `input` (a binary string), in capital letters as
 * the clients of the bench send them. Returns how many characters belong to whole commands.
 */
export function splitCommands(input: string, onCommand: (name: string) => void): number {
  let used = 0;
  for (;;) {
    if (used === input.length) return used;
    if (input.charCodeAt(used) !== STAR) throw new Error('not a command of the Redis protocol');
    const lineEnd = input.indexOf('\r\n', used);
    if (lineEnd < 0) return used;
    let at = lineEnd + 2;
    let name = '';
    for (let left = Number(input.slice(used + 1, lineEnd)); left > 0; left--) {
      const sizeEnd = input.indexOf('\r\n', at);
      if (sizeEnd < 0) return used;
      const begin = sizeEnd + 2;
      const end = begin + Number(input.slice(at + 1, sizeEnd));
      if (end + 2 > input.length) return used;
      if (name === '') name = input.slice(begin, end);
      at = end + 2;
    }
    onCommand(name);
    used = at;
  }
}
