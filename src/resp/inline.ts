/**
 * Arguments of an inline command, split and unquoted as Redis's `sdssplitargs` does. It also serves
 * the interactive client, where people type the same quoting.
 */

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' };
const isSpace = (char: string): boolean => char === ' ' || (char >= '\t' && char <= '\r');
const HEX_PAIR = /^[0-9a-fA-F]{2}$/;

/**
 * Splits `line` (a binary string) at white space. Double quotes allow `\n \r \t \b \a \xHH` and `\`
 * before any other character; single quotes allow only `\'`. A closing quote must end its argument.
 *
 * @returns the arguments, or null when quotes are not balanced.
 */
export function splitArgs(line: string): string[] | null {
  const args: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isSpace(line.charAt(at))) at++;
    if (at >= line.length) return args;
    const argument = readArgument(line, at);
    if (argument === null) return null;
    args.push(argument.text);
    at = argument.end;
  }
}

/** One argument that begins at `start`: plain characters and quoted parts up to the next white space. */
function readArgument(line: string, start: number): { text: string; end: number } | null {
  let text = '';
  let at = start;
  while (at < line.length && !isSpace(line.charAt(at))) {
    const char = line.charAt(at);
    if (char !== '"' && char !== "'") {
      text += char;
      at++;
      continue;
    }
    const quoted = char === '"' ? readDouble(line, at + 1) : readSingle(line, at + 1);
    if (quoted === null) return null;
    const { end } = quoted;
    if (end < line.length && !isSpace(line.charAt(end))) return null;
    return { text: text + quoted.text, end };
  }
  return { text, end: at };
}

/** Inside double quotes; `end` is the position after the closing quote, null when there is none. */
function readDouble(line: string, start: number): { text: string; end: number } | null {
  let text = '';
  for (let at = start; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '"') return { text, end: at + 1 };
    if (char !== '\\' || at + 1 >= line.length) {
      text += char;
    } else if (line.charAt(at + 1) === 'x' && HEX_PAIR.test(line.slice(at + 2, at + 4))) {
      text += String.fromCharCode(Number.parseInt(line.slice(at + 2, at + 4), 16));
      at += 3;
    } else {
      at++;
      text += ESCAPES[line.charAt(at)] ?? line.charAt(at);
    }
  }
  return null;
}

/** Inside single quotes; as `readDouble`. */
function readSingle(line: string, start: number): { text: string; end: number } | null {
  let text = '';
  for (let at = start; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === "'") return { text, end: at + 1 };
    if (char === '\\' && line.charAt(at + 1) === "'") at++;
    text += line.charAt(at);
  }
  return null;
}
