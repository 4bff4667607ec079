/**
 * The arguments of a command, as COMMAND DOCS describes them: written in one line each, read into a tree.
 *
 *     name            a string           name:integer    another type (string, integer, double, key,
 *     TOKEN           a word as it is                    pattern, unix-time)
 *     TOKEN item      the word, then the item
 *     [item]          may be left out
 *     (name=a|b)      one of them        {name=a b}      all of them, together
 *     item...         once or more
 *     item@6.2.0      since that version item!2.8.12     deprecated since that version
 *
 * `key:key value [(condition=NX|XX)@2.6.12]` is how SET begins.
 */

export interface Argument {
  readonly name: string;
  readonly type: string;
  readonly token?: string;
  readonly since?: string;
  readonly deprecatedSince?: string;
  readonly optional: boolean;
  readonly multiple: boolean;
  /** Of `oneof` and `block`. */
  readonly arguments?: readonly Argument[];
}

const TYPES: ReadonlySet<string> = new Set([
  'string',
  'integer',
  'double',
  'key',
  'pattern',
  'unix-time',
]);

const WORDS = /[[\](){}|]|[^\s[\](){}|]+/g;
const TOKEN = /^[A-Z][A-Z-]*$/;
/** Multiple, since, deprecated since; at the end of a word, or a word by themselves behind a bracket. */
const SUFFIX = /^(.*?)(\.\.\.)?(?:@([\d.]+))?(?:!([\d.]+))?$/;

/** Throws an Error for a line that is none: the lines are part of the program. */
export function parseSyntax(line: string): readonly Argument[] {
  const reader = new Reader(line);
  const found: Argument[] = [];
  while (reader.next !== undefined) found.push(readItem(reader));
  return found;
}

class Reader {
  readonly #words: readonly string[];
  readonly line: string;
  #at = 0;

  constructor(line: string) {
    this.line = line;
    this.#words = line.match(WORDS) ?? [];
  }

  get next(): string | undefined {
    return this.#words[this.#at];
  }

  take(): string {
    const word = this.next;
    if (word === undefined) throw new Error(`the syntax ends too early: ${this.line}`);
    this.#at++;
    return word;
  }

  expect(word: string): void {
    if (this.take() !== word) throw new Error(`the syntax lacks a ${word}: ${this.line}`);
  }
}

type Part = Omit<Argument, 'optional' | 'multiple'> & { multiple?: boolean; optional?: boolean };

function readItem(reader: Reader): Argument {
  const { optional = false, multiple = false, ...rest } = readPart(reader);
  return { ...rest, optional, multiple };
}

function readPart(reader: Reader): Part {
  const word = reader.take();
  switch (word) {
    case '[': {
      const item = readItem(reader);
      reader.expect(']');
      return { ...item, optional: true };
    }
    case '(':
      return readGroup(reader, { type: 'oneof', end: ')' });
    case '{':
      return readGroup(reader, { type: 'block', end: '}' });
    default:
      return readWord(reader, word);
  }
}

function readGroup(reader: Reader, { type, end }: { type: string; end: string }): Part {
  const name = reader.take();
  if (!name.includes('=')) throw new Error(`a group has no name: ${reader.line}`);
  const [own = '', first = ''] = name.split('=');
  const items: Argument[] = first === '' ? [] : [itemOf(readWord(reader, first))];
  while (reader.next !== end) {
    if (type === 'oneof' && items.length > 0) reader.expect('|');
    items.push(readItem(reader));
  }
  reader.expect(end);
  return { name: own, type, ...suffixBehind(reader), arguments: items };
}

function itemOf({ optional = false, multiple = false, ...rest }: Part): Argument {
  return { ...rest, optional, multiple };
}

function readWord(reader: Reader, word: string): Part {
  const { text, ...suffix } = splitSuffix(word);
  if (!TOKEN.test(text)) return { ...nameAndType(text), ...suffix };
  const isAlone = Object.keys(suffix).length > 0 || !beginsItem(reader.next);
  if (isAlone) return { name: text.toLowerCase(), type: 'pure-token', token: text, ...suffix };
  return { ...readPart(reader), token: text };
}

/** A token is followed by its item, unless another token, the end of a group or of an option comes. */
function beginsItem(next: string | undefined): boolean {
  if (next === undefined || '[])}|'.includes(next)) return false;
  return !TOKEN.test(splitSuffix(next).text);
}

function nameAndType(text: string): { name: string; type: string } {
  const colon = text.lastIndexOf(':');
  const type = text.slice(colon + 1);
  if (colon > 0 && TYPES.has(type)) return { name: text.slice(0, colon), type };
  return { name: text, type: 'string' };
}

function suffixBehind(reader: Reader): Omit<ReturnType<typeof splitSuffix>, 'text'> {
  if (reader.next === undefined) return {};
  const { text, ...suffix } = splitSuffix(reader.next);
  if (text !== '') return {};
  reader.take();
  return suffix;
}

function splitSuffix(word: string): {
  text: string;
  multiple?: boolean;
  since?: string;
  deprecatedSince?: string;
} {
  const [, text = '', dots, since, deprecatedSince] = SUFFIX.exec(word) ?? [];
  return {
    text,
    ...(dots === undefined ? {} : { multiple: true }),
    ...(since === undefined ? {} : { since }),
    ...(deprecatedSince === undefined ? {} : { deprecatedSince }),
  };
}
