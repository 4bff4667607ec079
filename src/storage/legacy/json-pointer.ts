/**
 * Finds the value of a JSON pointer (RFC 6901) in a JSON *text* and returns it as it stands there.
 * `JSON.parse` alone would not do: it turns 9007199254740993 into 9007199254740992, and a migrated
 * number must not change.
 */

/** Reference tokens of a pointer: `/a~1b/0` is `a/b`, `0`. The empty pointer has none: the whole document. */
export function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * The source text of the value that the tokens lead to, or undefined when there is none. `json` must
 * be valid JSON (checked with `JSON.parse` before): positions are found without checking again.
 */
export function sliceAt(json: string, tokens: readonly string[]): string | undefined {
  let at = skipSpace(json, 0);
  for (const token of tokens) {
    const next = json[at] === '{' ? findMember(json, at, token) : findElement(json, at, token);
    if (next < 0) return undefined;
    at = next;
  }
  return json.slice(at, skipValue(json, at));
}

/** Where the member's value begins, or -1. Of members with one name the last counts, as in JSON.parse. */
function findMember(json: string, open: number, name: string): number {
  let found = -1;
  let at = skipSpace(json, open + 1);
  while (json[at] !== '}') {
    const nameEnd = skipString(json, at);
    const isIt = JSON.parse(json.slice(at, nameEnd)) === name;
    const value = skipSpace(json, skipSpace(json, nameEnd) + 1);
    if (isIt) found = value;
    at = skipSpace(json, skipValue(json, value));
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return found;
}

/** Where the array's element begins, or -1 (also when this is no array). */
function findElement(json: string, open: number, token: string): number {
  if (json[open] !== '[' || !/^(0|[1-9][0-9]*)$/.test(token)) return -1;
  let left = Number(token);
  let at = skipSpace(json, open + 1);
  while (json[at] !== ']') {
    if (left === 0) return at;
    left -= 1;
    at = skipSpace(json, skipValue(json, at));
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return -1;
}

function skipSpace(json: string, start: number): number {
  let at = start;
  while (at < json.length && ' \t\n\r'.includes(json[at]!)) at += 1;
  return at;
}

/** The position after the value that begins at `start`. Counts brackets, so depth costs no stack. */
function skipValue(json: string, start: number): number {
  const first = json[start];
  if (first === '"') return skipString(json, start);
  if (first !== '{' && first !== '[') return skipScalar(json, start);
  let depth = 0;
  let at = start;
  do {
    const char = json[at];
    if (char === '"') {
      at = skipString(json, at);
      continue;
    }
    if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}

function skipScalar(json: string, start: number): number {
  let at = start;
  while (at < json.length && !',]} \t\n\r'.includes(json[at]!)) at += 1;
  return at;
}

function skipString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
