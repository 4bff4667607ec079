/** LCS: the longest common subsequence of two strings. */
import { ReplyError, syntaxError } from '../errors.ts';
import { MapReply, type Reply } from '../resp/reply.ts';
import { argument, clampedInteger, optionName } from './arguments.ts';
import { type Args, type Command, type DataContext, dataCommand } from './command.ts';

interface LcsOptions {
  readonly keys: readonly [string, string];
  readonly reply: 'string' | 'length' | 'index';
  /** Shorter matches are left out of the index. */
  readonly minMatchLength: number;
  readonly withMatchLength: boolean;
}

/** Positions, both ends inclusive, of one match in the two strings. */
interface Match {
  readonly a: readonly [number, number];
  readonly b: readonly [number, number];
  readonly length: number;
}

/** `cells` row by row: the length of the longest common subsequence of the first i and j bytes. */
interface Table {
  readonly cells: Uint32Array;
  readonly width: number;
}

/**
 * The table is quadratic, and nothing else runs while it is filled (about 8 ns a cell, so 0.13 s at this bound). So it is
 * bounded here too, below what `proto-max-bulk-len` usually allows.
 */
const TABLE_MIB_MAX = 64;
const BYTES_PER_CELL = 4;

export const lcs = dataCommand<LcsOptions>({
  name: 'LCS',
  group: 'string',
  arity: -3,
  flags: ['readonly'],
  keys: { first: 1, last: 2, step: 1 },
  since: '7.0.0',
  summary: 'Find the longest subsequence that two strings have in common',
  complexity: 'O(N*M) where N and M are the lengths of s1 and s2, respectively',
  parse: parseLcs,
  run: runLcs,
});

function parseLcs(args: Args): LcsOptions {
  let length = false;
  let index = false;
  let withMatchLength = false;
  let minMatchLength = 0;
  for (let at = 3; at < args.length; at++) {
    const option = optionName(args, at);
    if (option === 'len') {
      length = true;
    } else if (option === 'idx') {
      index = true;
    } else if (option === 'withmatchlen') {
      withMatchLength = true;
    } else if (option === 'minmatchlen' && at + 1 < args.length) {
      minMatchLength = Math.max(0, clampedInteger(argument(args, ++at)));
    } else {
      throw syntaxError();
    }
  }
  if (length && index) {
    const text = 'If you want both the length and indexes, please just use IDX.';
    throw new ReplyError('ERR', text);
  }
  const reply = index ? 'index' : length ? 'length' : 'string';
  const keys = [argument(args, 1), argument(args, 2)] as const;
  return { keys, reply, minMatchLength, withMatchLength };
}

function runLcs(ctx: DataContext, options: LcsOptions): Reply {
  const a = ctx.keys.get(ctx.db, options.keys[0]) ?? '';
  const b = ctx.keys.get(ctx.db, options.keys[1]) ?? '';
  const table = fillTable(ctx, a, b);
  const length = table.cells[table.cells.length - 1] ?? 0;
  if (options.reply === 'length') return length;
  const matches = findMatches(table, a, b);
  if (options.reply === 'string') {
    return matches
      .map((match) => a.slice(match.a[0], match.a[1] + 1))
      .reverse()
      .join('');
  }
  const shown = matches
    .filter((match) => match.length >= options.minMatchLength)
    .map(({ a: inA, b: inB, length: n }) => (options.withMatchLength ? [inA, inB, n] : [inA, inB]));
  return new MapReply(['matches', shown, 'len', length]);
}

function fillTable(ctx: DataContext, a: string, b: string): Table {
  const width = b.length + 1;
  const cells = allocate(ctx, (a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    const byte = a.charCodeAt(i - 1);
    const row = i * width;
    for (let j = 1; j <= b.length; j++) {
      const above = cells[row - width + j]!;
      const left = cells[row + j - 1]!;
      if (byte === b.charCodeAt(j - 1)) cells[row + j] = cells[row - width + j - 1]! + 1;
      else cells[row + j] = above > left ? above : left;
    }
  }
  return { cells, width };
}

function allocate(ctx: DataContext, cells: number): Uint32Array {
  const bytes = cells * BYTES_PER_CELL;
  const prefix = 'Insufficient memory, ';
  if (bytes > ctx.protoMaxBulkLen) {
    const text = 'transient memory for LCS exceeds proto-max-bulk-len';
    throw new ReplyError('ERR', prefix + text);
  }
  if (bytes > TABLE_MIB_MAX * 2 ** 20) {
    throw new ReplyError('ERR', `${prefix}transient memory for LCS exceeds ${TABLE_MIB_MAX} MiB`);
  }
  try {
    return new Uint32Array(cells);
  } catch (cause) {
    const text = 'failed allocating transient memory for LCS';
    throw new ReplyError('ERR', prefix + text, { cause });
  }
}

/**
 * Walks back from the table's last cell, collecting runs of equal bytes that are contiguous in both
 * strings. The last match comes first, as in Redis's reply.
 */
function findMatches({ cells, width }: Table, a: string, b: string): Match[] {
  const matches: Match[] = [];
  let i = a.length;
  let j = b.length;
  let length = 0;
  const closeMatch = (): void => {
    if (length > 0) matches.push({ a: [i, i + length - 1], b: [j, j + length - 1], length });
    length = 0;
  };
  while (i > 0 && j > 0) {
    if (a.charCodeAt(i - 1) === b.charCodeAt(j - 1)) {
      length++;
      i--;
      j--;
    } else {
      closeMatch();
      // Towards the longer common subsequence; of two equal ones Redis takes the one to the left.
      if (cells[(i - 1) * width + j]! > cells[i * width + j - 1]!) i--;
      else j--;
    }
  }
  closeMatch();
  return matches;
}

export const LCS_COMMANDS: readonly Command[] = [lcs];
