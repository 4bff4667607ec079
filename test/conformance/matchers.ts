/**
 * Replies that cannot be the same twice (times, ids, orders) are made comparable: a matcher turns a
 * reply into a text that is equal on both servers when the reply is right. What does not fit a
 * matcher is left as it is, and so shows up as a difference.
 */
import { textOf, type RespReply, type RespValue } from '../support/resp-client.ts';
import type { Matcher } from './case-file.ts';

type Normalize = (reply: RespReply, argument: string) => string;

const MATCHERS: Readonly<Record<string, Normalize>> = {
  match: ({ raw }, pattern) => (new RegExp(pattern, 's').test(raw) ? 'matches' : raw),
  near,
  sorted,
  shape: ({ value }) => shapeOf(value),
  fields,
  has,
  lacks,
  error: ({ raw, value }) => (value.kind === 'error' ? `-${value.text.split(' ')[0]!} ...` : raw),
  kind: ({ value }) => value.kind,
  size: ({ raw, value }) => ('items' in value ? `${value.kind} of ${value.items.length}` : raw),
  'command-info': commandInfo,
  'command-docs': commandDocs,
};

/** The reply as the recordings hold it: its bytes, or what the matcher makes of it. */
export function normalize(reply: RespReply, matcher: Matcher | null, argument: string): string {
  if (matcher === null) return reply.raw;
  const apply = MATCHERS[matcher.name];
  if (!apply) throw new Error(`unknown matcher ~${matcher.name}`);
  return apply(reply, argument);
}

/** `~near(100,2)`: an integer (or a number in a bulk string) at most 2 below or above 100. */
function near({ raw, value }: RespReply, argument: string): string {
  const [expected, tolerance] = argument.split(',').map(Number);
  const actual = Number(textOf(value));
  const fits = Math.abs(actual - expected!) <= tolerance!;
  return fits ? `${value.kind} as expected` : raw;
}

/** `~sorted`: an array or set whose order says nothing. */
function sorted({ raw, value }: RespReply): string {
  if (!('items' in value)) return raw;
  return `${value.kind} of ${value.items.length}: ${value.items.map(textOf).sort().join(' ')}`;
}

/** `~shape`: kinds and lengths of everything, contents of nothing. */
function shapeOf(value: RespValue): string {
  if ('items' in value) return `${value.kind}[${value.items.map(shapeOf).join(' ')}]`;
  if (value.kind !== 'map') return value.kind;
  return `map{${value.entries.map(([key, item]) => `${textOf(key)}=${shapeOf(item)}`).join(' ')}}`;
}

/** A map, or the flat array that stands for one in RESP2. */
function entriesOf(value: RespValue): (readonly [string, RespValue])[] | null {
  if (value.kind === 'map') return value.entries.map(([key, item]) => [textOf(key), item]);
  if (value.kind !== 'array' || value.items.length % 2 !== 0) return null;
  const entries: [string, RespValue][] = [];
  for (let i = 0; i < value.items.length; i += 2) {
    entries.push([textOf(value.items[i]!), value.items[i + 1]!]);
  }
  return entries;
}

/** `~fields(a,b)`: of a map, these fields with their values. */
function fields({ raw, value }: RespReply, argument: string): string {
  const entries = entriesOf(value);
  if (entries === null) return raw;
  const map = new Map(entries);
  const shown = argument.split(',').map((name) => {
    const item = map.get(name);
    return `${name}=${item ? describe(item) : '(missing)'}`;
  });
  return `${value.kind}: ${shown.join(' ')}`;
}

function describe(value: RespValue): string {
  if ('items' in value) return `${value.kind}[${value.items.map(describe).join(' ')}]`;
  if (value.kind === 'map') {
    return `map{${value.entries.map(([key, item]) => `${textOf(key)}=${describe(item)}`).join(' ')}}`;
  }
  return `${value.kind}:${textOf(value)}`;
}

/** `~has(a,b)`: of a text of `name:value` or `name=value` fields, which of these names are there. */
function has({ raw, value }: RespReply, argument: string): string {
  if (value.kind !== 'bulk' && value.kind !== 'verbatim') return raw;
  const found = argument.split(',').filter((name) => hasField(value.text, name));
  return `${value.kind} with ${found.join(',')}`;
}

/** `~lacks(a,b)`: of such a text, which of these names are not there. */
function lacks({ raw, value }: RespReply, argument: string): string {
  if (value.kind !== 'bulk' && value.kind !== 'verbatim') return raw;
  const missing = argument.split(',').filter((name) => !hasField(value.text, name));
  return `${value.kind} without ${missing.join(',')}`;
}

function hasField(text: string, name: string): boolean {
  const escaped = name.replaceAll(/[^\w ]/g, '\\$&');
  return new RegExp(`(^|[\\s])${escaped}([:=]|\\r?$)`, 'm').test(text);
}

/**
 * `~command-info`: of COMMAND INFO's entries name, arity, flags, key positions and categories; flags
 * and categories as sorted lists. Tips, key specifications and subcommands are left out.
 */
function commandInfo({ raw, value }: RespReply): string {
  if (value.kind !== 'array') return raw;
  return value.items.map(commandEntry).join('\n');
}

function commandEntry(entry: RespValue): string {
  if (entry.kind !== 'array') return entry.kind;
  const [name, arity, flags, first, last, step, categories] = entry.items;
  const list = (value: RespValue | undefined): string =>
    value && 'items' in value ? value.items.map(textOf).sort().join(' ') : '(missing)';
  const keys = [first, last, step].map((item) => (item ? textOf(item) : '(missing)')).join(',');
  const head = [name, arity].map((item) => (item ? textOf(item) : '(missing)')).join(' ');
  return `${head} [${list(flags)}] keys ${keys} [${list(categories)}]`;
}

/**
 * `~command-docs`: of COMMAND DOCS everything but the sentences, of which only is said whether they are
 * there, and the subcommands, which are asked for by name.
 */
function commandDocs({ raw, value }: RespReply): string {
  const commands = entriesOf(value);
  if (commands === null) return raw;
  return commands
    .map(([name, docs]) => {
      const map = new Map(entriesOf(docs) ?? []);
      const text = (field: string): string => {
        const item = map.get(field);
        return item ? textOf(item) : '(missing)';
      };
      const told = (field: string): string => `${map.has(field) ? 'with' : 'without'} ${field}`;
      const head = `${name}: ${text('group')} since ${text('since')}`;
      const sentences = ['summary', 'complexity', 'replaced_by'].map(told).join(', ');
      const deprecated = `${flagsIn(map)} deprecated ${text('deprecated_since')}`;
      const steps = itemsIn(map, 'history').map((step) =>
        'items' in step ? textOf(step.items[0]!) : raw,
      );
      const args = itemsIn(map, 'arguments').map(argumentText);
      return `${head}, ${sentences} [${deprecated}] history ${steps.join(' ')}: ${args.join(' ')}`;
    })
    .join('\n');
}

function itemsIn(map: ReadonlyMap<string, RespValue>, field: string): readonly RespValue[] {
  const value = map.get(field);
  return value !== undefined && 'items' in value ? value.items : [];
}

/** Flags of a command or an argument, sorted. */
function flagsIn(map: ReadonlyMap<string, RespValue>): string {
  return [...itemsIn(map, 'doc_flags'), ...itemsIn(map, 'flags')].map(textOf).sort().join(',');
}

/** All fields of an argument in the order of the reply, arguments of arguments in brackets. */
function argumentText(argument: RespValue): string {
  const entries = entriesOf(argument) ?? [];
  const map = new Map(entries);
  const fields = entries
    .filter(([field]) => field !== 'flags' && field !== 'arguments')
    .map(([field, value]) => `${field}=${textOf(value)}`);
  const inner = itemsIn(map, 'arguments').map(argumentText);
  const flags = flagsIn(map);
  return `(${fields.join(' ')}${flags === '' ? '' : ` ${flags}`}${inner.length === 0 ? '' : ` ${inner.join(' ')}`})`;
}
