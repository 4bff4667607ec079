/** `ringfence cli`: a client for one command, for a script of lines, or for people at a prompt. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type FlagSpec, flagHelp, parseFlags, integerFlag, UsageError } from '../flags.ts';
import { type CliCommand, EXIT, messageOf, PlainError } from '../program.ts';
import { type ClientAddress, ClientConnection, type ClientReply } from './connection.ts';
import { formatForPeople, formatNodes, formatRaw } from './format.ts';
import { tokenize } from './tokenize.ts';

const FLAGS: readonly FlagSpec[] = [
  { name: 'host', value: 'HOST', help: 'node to talk to, also -h (127.0.0.1)' },
  { name: 'port', value: 'PORT', help: 'its port, also -p (7001)' },
  { name: 'db', value: 'NUMBER', help: 'numbered database, also -n (0)' },
  { name: 'password', value: 'TEXT', help: 'password, also -a (RINGFENCE_CLI_PASSWORD)' },
  { name: 'raw', help: 'print bytes as they are, also when writing to a terminal' },
  { name: 'no-raw', help: 'print types and escapes, also when writing to a pipe' },
];
const SHORT: Readonly<Record<string, string>> = {
  '-h': 'host',
  '-p': 'port',
  '-n': 'db',
  '-a': 'password',
};

/** Names that people know from other stores. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  PUT: ['SET'],
  DELETE: ['DEL'],
  LIST_NODES: ['CLUSTER', 'NODES'],
};

const HISTORY_LINES_MAX = 1000;

export const clientCommand: CliCommand = {
  name: 'cli',
  summary: 'talk to a node: ringfence cli GET user:1',
  help: () =>
    [
      'Usage: ringfence cli [flags] [command [argument ...]]',
      '',
      'Sends one command and prints the reply; without a command, reads commands from a prompt',
      'or from standard input, a line each. PUT, DELETE and LIST_NODES are understood too.',
      'Exit code 1 when the reply is an error.',
      '',
      flagHelp(FLAGS),
    ].join('\n'),
  run: runClient,
};

interface ClientOptions {
  readonly address: ClientAddress;
  readonly db: number;
  readonly password: string | undefined;
  readonly raw: boolean;
  readonly words: readonly string[];
}

async function runClient(argv: readonly string[]): Promise<number> {
  const options = parseClientOptions(argv);
  if (options.words.length > 0) {
    const session = new Session(options);
    try {
      // The shell hands arguments over as text; on the wire they are its UTF-8 bytes.
      const words = options.words.map((word) => Buffer.from(word, 'utf8').toString('latin1'));
      return (await session.run(words)) ? EXIT.ok : EXIT.failed;
    } finally {
      session.close();
    }
  }
  return process.stdin.isTTY ? prompt(options) : runLines(options);
}

/** Flags end at the first word that is none: the rest belongs to the server. */
export function parseClientOptions(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): ClientOptions {
  const head: string[] = [];
  let at = 0;
  for (; at < argv.length && (argv[at] ?? '').startsWith('-'); at++) {
    const word = argv[at] ?? '';
    const name = SHORT[word] ?? word.replace(/^--/, '');
    const spec = FLAGS.find((flag) => flag.name === name.split('=')[0]);
    if (spec === undefined) throw new UsageError(`there is no flag '${word}'`);
    head.push(`--${name}`);
    if (spec.value !== undefined && !name.includes('=')) {
      const value = argv[++at];
      if (value === undefined) throw new UsageError(`--${spec.name} needs a value: ${spec.value}`);
      head.push(value);
    }
  }
  const flags = parseFlags(head, FLAGS);
  return {
    address: {
      host: flags.values.get('host') ?? '127.0.0.1',
      port: integerFlag(flags, 'port', { min: 1, max: 65_535, fallback: 7001 }),
    },
    db: integerFlag(flags, 'db', { min: 0, max: 15, fallback: 0 }),
    password: flags.values.get('password') ?? env.RINGFENCE_CLI_PASSWORD,
    raw: flags.values.has('raw') || (!flags.values.has('no-raw') && !process.stdout.isTTY),
    words: argv.slice(at),
  };
}

/** The words as they go to the server: an alias replaced by what it stands for. */
export function expandAlias(words: readonly string[]): readonly string[] {
  const [name = '', ...rest] = words;
  const alias = ALIASES[name.toUpperCase()];
  return alias === undefined ? words : [...alias, ...rest];
}

/** How a bulk reply is shown: as a table of nodes, as lines of text, or like any other. */
type Style = 'nodes' | 'text' | 'reply';

/** Replies of these commands are meant to be read as they are, line by line. */
const TEXT_COMMANDS = /^(INFO|LOLWUT|CLIENT (LIST|INFO)|CLUSTER (NODES|INFO))\b/i;

function styleOf(words: readonly string[]): Style {
  if (words[0]?.toUpperCase() === 'LIST_NODES') return 'nodes';
  return TEXT_COMMANDS.test(words.slice(0, 2).join(' ')) ? 'text' : 'reply';
}

/** A connection that is made when first needed, and again after it was lost. */
class Session {
  readonly #options: ClientOptions;
  #connection: ClientConnection | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Sends one command (binary strings) and prints the reply; false when that is an error. */
  async run(words: readonly string[]): Promise<boolean> {
    const connection = await this.#connected();
    const reply = await connection.send(expandAlias(words)).catch((error: unknown) => {
      throw new PlainError(messageOf(error));
    });
    this.#print(reply, styleOf(words));
    return reply.kind !== 'error';
  }

  close(): void {
    this.#connection?.close();
  }

  async #connected(): Promise<ClientConnection> {
    if (this.#connection !== undefined && !this.#connection.closed) return this.#connection;
    const { address, db, password } = this.#options;
    const connection = await ClientConnection.open(address, (reply) =>
      this.#print(reply, 'reply'),
    ).catch((error: unknown) => {
      throw new PlainError(
        `cannot connect to ${address.host}:${address.port}: ${messageOf(error)}`,
      );
    });
    this.#connection = connection;
    if (password !== undefined) await expectOk(connection, ['AUTH', password]);
    if (db !== 0) await expectOk(connection, ['SELECT', String(db)]);
    return connection;
  }

  #print(reply: ClientReply, style: Style): void {
    if (style === 'nodes' && reply.kind === 'bulk') {
      process.stdout.write(`${formatNodes(reply.bytes.toString('utf8'))}\n`);
    } else if (this.#options.raw || (style === 'text' && reply.kind === 'bulk')) {
      process.stdout.write(Buffer.concat([formatRaw(reply), Buffer.from('\n')]));
    } else {
      process.stdout.write(`${formatForPeople(reply)}\n`);
    }
  }
}

async function expectOk(connection: ClientConnection, words: readonly string[]): Promise<void> {
  const reply = await connection.send(words);
  if (reply.kind === 'error') throw new PlainError(`${words[0]}: ${reply.text}`);
}

/** Standard input is a pipe or a file: a command a line, in order; the first lost connection ends it. */
async function runLines(options: ClientOptions): Promise<number> {
  const session = new Session(options);
  let fine = true;
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      const words = tokenizeOrSay(line);
      if (words === undefined) fine = false;
      else if (words.length > 0) fine = (await session.run(words)) && fine;
    }
  } finally {
    session.close();
  }
  return fine ? EXIT.ok : EXIT.failed;
}

async function prompt(options: ClientOptions): Promise<number> {
  const session = new Session(options);
  const historyFile = join(homedir(), '.ringfence_history');
  const { host, port } = options.address;
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: `${host}:${port}${options.db === 0 ? '' : `[${options.db}]`}> `,
    history: readHistory(historyFile),
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
  });
  terminal.prompt();
  for await (const line of terminal) {
    if (/^\s*(quit|exit)\s*$/i.test(line)) break;
    await runTyped(session, line, historyFile);
    terminal.prompt();
  }
  terminal.close();
  session.close();
  return EXIT.ok;
}

async function runTyped(session: Session, line: string, historyFile: string): Promise<void> {
  const words = tokenizeOrSay(line);
  if (words === undefined || words.length === 0) return;
  // Passwords do not belong into a file.
  if (!/^(auth|hello)$/i.test(words[0] ?? ''))
    appendFileSync(historyFile, `${line}\n`, { mode: 0o600 });
  try {
    await session.run(words);
  } catch (error) {
    process.stdout.write(`${messageOf(error)}\n`);
  }
}

function tokenizeOrSay(line: string): string[] | undefined {
  try {
    return tokenize(line);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return undefined;
  }
}

/** Newest first, as readline wants it. */
function readHistory(file: string): string[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.slice(-HISTORY_LINES_MAX).reverse();
}
