/**
 * Splits a line typed at the prompt into arguments, by redis-cli's rules: "..." with \n, \xHH and
 * their like, '...' with \' only, everything else up to a space. Arguments are binary strings.
 */

/** Thrown for a quote that does not end, or is followed by something else than a space. */
export class UnbalancedQuotes extends Error {
  constructor() {
    super('Invalid argument(s)');
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  a: '\x07',
};

export function tokenize(line: string): string[] {
  const text = Buffer.from(line, 'utf8').toString('latin1');
  const tokens: string[] = [];
  let at = 0;
  for (;;) {
    while (isSpace(text[at])) at++;
    if (at >= text.length) return tokens;
    let token = '';
    while (at < text.length && !isSpace(text[at])) {
      const quote = text[at];
      const part = quote === '"' || quote === "'" ? readQuoted(text, at) : undefined;
      token += part?.value ?? text[at];
      at = part?.end ?? at + 1;
      if (part !== undefined && at < text.length && !isSpace(text[at]))
        throw new UnbalancedQuotes();
    }
    tokens.push(token);
  }
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && /\s/.test(char);
}

/** `start` is at the opening quote; `end` is behind the closing one. */
function readQuoted(text: string, start: number): { value: string; end: number } {
  const quote = text[start];
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === quote) return { value, end: at + 1 };
    if (char !== '\\') {
      value += char;
      continue;
    }
    const hex =
      quote === '"' ? /^x([0-9a-f]{2})/i.exec(text.slice(at + 1, at + 4))?.[1] : undefined;
    const next = text[at + 1] ?? '';
    if (hex !== undefined) {
      value += String.fromCharCode(Number.parseInt(hex, 16));
      at += 3;
    } else if (quote === '"') {
      value += ESCAPES[next] ?? next;
      at += 1;
    } else if (next === "'") {
      value += next;
      at += 1;
    } else {
      value += char;
    }
  }
  throw new UnbalancedQuotes();
}
