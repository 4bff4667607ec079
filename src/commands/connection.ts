/** Commands about the client's own connection. CLIENT has a file of its own. */
import { ReplyError, syntaxError } from '../errors.ts';
import type { Protocol, Reply } from '../resp/reply.ts';
import { MapReply, OK, Status } from '../resp/reply.ts';
import { argument, database, wrongArity } from './arguments.ts';
import { client, parseClientName } from './client.ts';
import type { Args, ServerContext } from './command.ts';
import { type Command, serverCommand } from './command.ts';
import { parseInt64 } from './numbers.ts';

/** The Redis version whose behaviour and texts this server has: HELLO and INFO say it. */
export const REDIS_VERSION = '7.0.15';

const DEFAULT_USER = 'default';
const WRONG_PASS = 'invalid username-password pair or user is disabled.';
const NO_PASSWORD =
  'AUTH <password> called without any password configured for the default user. ' +
  'Are you sure your configuration is correct?';
const HELLO_NEEDS_AUTH =
  'HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> ' +
  '<pass> option can be used to authenticate the client and select the RESP protocol version at ' +
  'the same time';

export const auth = serverCommand({
  name: 'AUTH',
  group: 'connection',
  arity: -2,
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  since: '1.0.0',
  summary: 'Prove who this connection is, by password',
  complexity: 'O(N) where N is the number of passwords defined for the user',
  parse(args) {
    if (args.length > 3) throw syntaxError();
    const user = args.length === 3 ? argument(args, 1) : null;
    return { user, password: argument(args, args.length - 1) };
  },
  run(ctx, { user, password }) {
    if (user === null && !ctx.server.hasPassword) throw new ReplyError('ERR', NO_PASSWORD);
    authenticate(ctx, user ?? DEFAULT_USER, password);
    return OK;
  },
});

/** Makes the session one of `user`, or throws WRONGPASS and leaves it as it was. */
function authenticate(ctx: ServerContext, user: string, password: string): void {
  const { session, server } = ctx;
  const open = user === DEFAULT_USER && !server.hasPassword;
  if (!open && !server.checkPassword(user, password)) throw new ReplyError('WRONGPASS', WRONG_PASS);
  session.user = user;
  session.authenticated = true;
}

/** HELLO takes effect option by option, so a bad one is remembered in its place. */
type HelloStep =
  | { readonly kind: 'auth'; readonly user: string; readonly password: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'bad'; readonly option: string };

export const hello = serverCommand({
  name: 'HELLO',
  group: 'connection',
  arity: -1,
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  since: '6.0.0',
  summary: 'Choose the version of the protocol, and log in and name the connection with it',
  complexity: 'O(1)',
  parse(args) {
    return { protocol: parseProtocol(args[1]), steps: parseHelloSteps(args) };
  },
  run(ctx, { protocol, steps }) {
    for (const step of steps) takeHelloStep(ctx, step);
    if (!ctx.session.authenticated) throw new ReplyError('NOAUTH', HELLO_NEEDS_AUTH);
    if (protocol !== null) ctx.session.protocol = protocol;
    return helloReply(ctx);
  },
});

function parseProtocol(text: string | undefined): Protocol | null {
  if (text === undefined) return null;
  const version = parseInt64(text);
  if (version === undefined) {
    throw new ReplyError('ERR', 'Protocol version is not an integer or out of range');
  }
  if (version === 2) return 2;
  if (version === 3) return 3;
  throw new ReplyError('NOPROTO', 'unsupported protocol version');
}

function parseHelloSteps(args: Args): HelloStep[] {
  const steps: HelloStep[] = [];
  for (let i = 2; i < args.length; i++) {
    const option = argument(args, i);
    const left = args.length - 1 - i;
    const word = option.toUpperCase();
    if (word === 'AUTH' && left >= 2) {
      steps.push({ kind: 'auth', user: argument(args, i + 1), password: argument(args, i + 2) });
      i += 2;
    } else if (word === 'SETNAME' && left >= 1) {
      steps.push({ kind: 'name', name: argument(args, i + 1) });
      i += 1;
    } else {
      steps.push({ kind: 'bad', option });
      break;
    }
  }
  return steps;
}

function takeHelloStep(ctx: ServerContext, step: HelloStep): void {
  switch (step.kind) {
    case 'auth':
      authenticate(ctx, step.user, step.password);
      break;
    case 'name':
      ctx.session.name = parseClientName(step.name);
      break;
    case 'bad':
      throw new ReplyError('ERR', `Syntax error in HELLO option '${step.option}'`);
  }
}

/** Mode `standalone`: a client made for one Redis server may use every key here. */
function helloReply(ctx: ServerContext): Reply {
  const { session } = ctx;
  return new MapReply([
    ...['server', 'redis', 'version', REDIS_VERSION, 'proto', session.protocol, 'id', session.id],
    ...['mode', 'standalone', 'role', 'master', 'modules', []],
  ]);
}

export const ping = serverCommand({
  name: 'PING',
  group: 'connection',
  arity: -1,
  flags: ['fast'],
  since: '1.0.0',
  summary: 'Answer PONG, or the message',
  complexity: 'O(1)',
  parse(args) {
    if (args.length > 2) throw wrongArity('ping');
    return args[1];
  },
  run: (_ctx, message) => message ?? PONG,
});

const PONG = new Status('PONG');

export const echo = serverCommand({
  name: 'ECHO',
  group: 'connection',
  arity: 2,
  flags: ['loading', 'stale', 'fast'],
  since: '1.0.0',
  summary: 'Answer with the message',
  complexity: 'O(1)',
  parse: (args) => argument(args, 1),
  run: (_ctx, message) => message,
});

export const select = serverCommand({
  name: 'SELECT',
  group: 'connection',
  arity: 2,
  flags: ['loading', 'stale', 'fast'],
  since: '1.0.0',
  summary: 'Choose the numbered database of this connection',
  complexity: 'O(1)',
  parse: (args) => database(argument(args, 1)),
  run(ctx, db) {
    ctx.session.db = db;
    return OK;
  },
});

export const reset = serverCommand({
  name: 'RESET',
  group: 'connection',
  arity: 1,
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  since: '6.2.0',
  summary: 'Bring the connection back to how it began',
  complexity: 'O(1)',
  parse: () => undefined,
  run(ctx) {
    ctx.session.reset();
    return RESET_DONE;
  },
});

const RESET_DONE = new Status('RESET');

export const quit = serverCommand({
  name: 'QUIT',
  group: 'connection',
  arity: -1,
  flags: ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'],
  since: '1.0.0',
  summary: 'End the connection once all before it is answered',
  complexity: 'O(1)',
  parse: () => undefined,
  run(ctx) {
    ctx.session.closeAfterReplies();
    return OK;
  },
});

export const CONNECTION_COMMANDS: readonly Command[] = [
  auth,
  client,
  echo,
  hello,
  ping,
  quit,
  reset,
  select,
];
