/** CLIENT and its subcommands: who is connected, under which name, and how to get rid of them. */
import { ReplyError, syntaxError } from '../errors.ts';
import { MapReply, NO_REPLY, OK, SetReply, VerbatimReply } from '../resp/reply.ts';
import { argument } from './arguments.ts';
import type { Args, CommandFlag, ServerContext } from './command.ts';
import type { Subcommand } from './container.ts';
import { container, help, noOptions, subcommand } from './container.ts';
import { parseInt64 } from './numbers.ts';
import type { ServerPort, SessionPort } from './ports.ts';

const PLAIN: readonly CommandFlag[] = ['noscript', 'loading', 'stale'];
const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];
const PER_CLIENT = 'O(N) where N is the number of client connections';

const BAD_NAME = 'cannot contain spaces, newlines or special characters.';

/** A client's name, or throws a ReplyError: CLIENT LIST separates fields by spaces and lines by newlines. */
export function parseClientName(name: string): string {
  if (!isPrintable(name)) throw new ReplyError('ERR', `Client names ${BAD_NAME}`);
  return name;
}

function isPrintable(text: string): boolean {
  return /^[!-~]*$/.test(text);
}

const id = subcommand({
  name: 'CLIENT|ID',
  arity: 2,
  flags: PLAIN,
  since: '5.0.0',
  summary: 'Tell the id of this connection',
  complexity: 'O(1)',
  parse: noOptions,
  run: (ctx) => ctx.session.id,
});

const info = subcommand({
  name: 'CLIENT|INFO',
  arity: 2,
  flags: PLAIN,
  since: '6.2.0',
  summary: 'Describe this connection as CLIENT LIST does',
  complexity: 'O(1)',
  parse: noOptions,
  run: (ctx) => new VerbatimReply(`${describeSession(ctx.session, ctx.server)}\n`),
});

const list = subcommand({
  name: 'CLIENT|LIST',
  arity: -2,
  flags: ADMIN,
  since: '2.4.0',
  summary: 'Describe the connections to this node, one a line',
  complexity: PER_CLIENT,
  parse: parseListFilter,
  run(ctx, filter) {
    let text = '';
    for (const session of listed(ctx.server, filter)) {
      text += `${describeSession(session, ctx.server)}\n`;
    }
    return new VerbatimReply(text);
  },
});

/** Redis's kinds of clients. All connections here are `normal`. */
type ClientType = 'normal' | 'master' | 'replica' | 'pubsub';

interface ListFilter {
  readonly type?: ClientType;
  /** In the order in which they are listed. */
  readonly ids?: readonly number[];
}

function parseListFilter(args: Args): ListFilter {
  if (args.length === 2) return {};
  const option = argument(args, 2).toUpperCase();
  if (option === 'TYPE' && args.length === 4) return { type: parseClientType(argument(args, 3)) };
  if (option !== 'ID' || args.length < 4) throw syntaxError();
  return { ids: args.slice(3).map(parseListedId) };
}

function parseListedId(text: string): number {
  const id = parseInt64(text);
  if (id === undefined) throw new ReplyError('ERR', 'Invalid client ID');
  return Number(id);
}

function parseClientType(text: string): ClientType {
  const word = text.toLowerCase();
  if (word === 'slave') return 'replica';
  if (word === 'normal' || word === 'master' || word === 'replica' || word === 'pubsub')
    return word;
  throw new ReplyError('ERR', `Unknown client type '${text}'`);
}

function listed(server: ServerPort, { type, ids }: ListFilter): Iterable<SessionPort> {
  if (type !== undefined && type !== 'normal') return [];
  if (ids === undefined) return server.sessions();
  const byId = new Map([...server.sessions()].map((session) => [session.id, session]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** One line of CLIENT LIST, without its newline. Fields that mean nothing here have Redis's "none". */
function describeSession(session: SessionPort, server: ServerPort): string {
  const now = server.monotonicMs();
  const seconds = (sinceMs: number): number => Math.max(0, Math.floor((now - sinceMs) / 1000));
  const { queryBufferBytes, outputBufferBytes, argvBytes } = session;
  return [
    `id=${session.id} addr=${session.address} laddr=${session.localAddress} fd=-1`,
    `name=${session.name} age=${seconds(session.createdAtMs)} idle=${seconds(session.lastActiveAtMs)}`,
    `flags=${flagsOf(session)} db=${session.db} sub=0 psub=0 ssub=0 multi=-1`,
    `qbuf=${queryBufferBytes} qbuf-free=0 argv-mem=${argvBytes} multi-mem=0 rbs=0 rbp=0`,
    `obl=0 oll=${outputBufferBytes > 0 ? 1 : 0} omem=${outputBufferBytes}`,
    `tot-mem=${queryBufferBytes + argvBytes + outputBufferBytes} events=r`,
    `cmd=${session.lastCommand === '' ? 'NULL' : session.lastCommand} user=${session.user}`,
    `redir=-1 resp=${session.protocol} lib-name=${session.libName} lib-ver=${session.libVersion}`,
  ].join(' ');
}

function flagsOf(session: SessionPort): string {
  const flags = `${session.noEvict ? 'e' : ''}${session.noTouch ? 'T' : ''}`;
  return flags === '' ? 'N' : flags;
}

const setname = subcommand({
  name: 'CLIENT|SETNAME',
  arity: 3,
  flags: PLAIN,
  since: '2.6.9',
  summary: 'Name this connection',
  complexity: 'O(1)',
  parse: (args) => parseClientName(argument(args, 2)),
  run(ctx, name) {
    ctx.session.name = name;
    return OK;
  },
});

const getname = subcommand({
  name: 'CLIENT|GETNAME',
  arity: 2,
  flags: PLAIN,
  since: '2.6.9',
  summary: 'Tell the name of this connection',
  complexity: 'O(1)',
  parse: noOptions,
  run: (ctx) => (ctx.session.name === '' ? null : ctx.session.name),
});

const setinfo = subcommand({
  name: 'CLIENT|SETINFO',
  arity: 4,
  flags: PLAIN,
  since: '7.2.0',
  summary: 'Say name and version of the client library',
  complexity: 'O(1)',
  parse(args) {
    const [option, value] = [argument(args, 2), argument(args, 3)];
    const word = option.toLowerCase();
    if (word !== 'lib-name' && word !== 'lib-ver') {
      throw new ReplyError('ERR', `Unrecognized option '${option}'`);
    }
    if (!isPrintable(value)) throw new ReplyError('ERR', `${word} ${BAD_NAME}`);
    return { field: word, value } as const;
  },
  run(ctx, { field, value }) {
    if (field === 'lib-name') ctx.session.libName = value;
    else ctx.session.libVersion = value;
    return OK;
  },
});

/** Which connections CLIENT KILL closes. */
interface KillFilter {
  readonly id?: number;
  readonly address?: string;
  readonly localAddress?: string;
  readonly user?: string;
  readonly type?: ClientType;
  readonly skipMe: boolean;
  /** `CLIENT KILL ip:port`: answers OK or an error instead of a count. */
  readonly oldForm: boolean;
}

const kill = subcommand({
  name: 'CLIENT|KILL',
  arity: -3,
  flags: ADMIN,
  since: '2.4.0',
  summary: 'Close connections, chosen by address, id, type or user',
  complexity: PER_CLIENT,
  parse: parseKillFilter,
  run(ctx, filter) {
    if (filter.user !== undefined) checkUserExists(ctx, filter.user);
    const victims = [...ctx.server.sessions()].filter((session) => isKilled(ctx, session, filter));
    for (const victim of victims) close(ctx, victim);
    if (!filter.oldForm) return victims.length;
    if (victims.length === 0) throw new ReplyError('ERR', 'No such client');
    return OK;
  },
});

function parseKillFilter(args: Args): KillFilter {
  if (args.length === 3) return { address: argument(args, 2), skipMe: false, oldForm: true };
  let filter: KillFilter = { skipMe: true, oldForm: false };
  for (let i = 2; i < args.length; i += 2) {
    const value = args[i + 1];
    if (value === undefined) throw syntaxError();
    filter = { ...filter, ...parseKillOption(argument(args, i).toUpperCase(), value) };
  }
  return filter;
}

function parseKillOption(option: string, value: string): Partial<KillFilter> {
  switch (option) {
    case 'ID':
      return { id: parseClientId(value) };
    case 'TYPE':
      return { type: parseClientType(value) };
    case 'ADDR':
      return { address: value };
    case 'LADDR':
      return { localAddress: value };
    case 'USER':
      return { user: value };
    case 'SKIPME':
      return { skipMe: parseSwitch(value, { yes: 'yes', no: 'no' }) };
    default:
      throw syntaxError();
  }
}

function parseClientId(text: string): number {
  const value = parseInt64(text);
  if (value !== undefined && value > 0) return Number(value);
  throw new ReplyError('ERR', 'client-id should be greater than 0');
}

function checkUserExists(ctx: ServerContext, user: string): void {
  if (user === 'default') return;
  for (const session of ctx.server.sessions()) if (session.user === user) return;
  throw new ReplyError('ERR', `No such user '${user}'`);
}

function isKilled(ctx: ServerContext, session: SessionPort, filter: KillFilter): boolean {
  if (filter.skipMe && session.id === ctx.session.id) return false;
  if (filter.id !== undefined && filter.id !== session.id) return false;
  if (filter.address !== undefined && filter.address !== session.address) return false;
  if (filter.localAddress !== undefined && filter.localAddress !== session.localAddress)
    return false;
  if (filter.user !== undefined && filter.user !== session.user) return false;
  return filter.type === undefined || filter.type === 'normal';
}

/** A client that kills itself still gets its reply. */
function close(ctx: ServerContext, victim: SessionPort): void {
  if (victim.id === ctx.session.id) victim.closeAfterReplies();
  else victim.kill();
}

/** One of two words, in any letter case: true for `yes`, false for `no`. Throws a syntax error. */
function parseSwitch(text: string, words: { yes: string; no: string }): boolean {
  const word = text.toLowerCase();
  if (word === words.yes) return true;
  if (word === words.no) return false;
  throw syntaxError();
}

const noEvict = subcommand({
  name: 'CLIENT|NO-EVICT',
  arity: 3,
  flags: ADMIN,
  since: '7.0.0',
  summary: 'Mark this connection as one that is not to be evicted',
  complexity: 'O(1)',
  parse: (args) => parseSwitch(argument(args, 2), { yes: 'on', no: 'off' }),
  run(ctx, on) {
    ctx.session.noEvict = on;
    return OK;
  },
});

const noTouch = subcommand({
  name: 'CLIENT|NO-TOUCH',
  arity: 3,
  flags: PLAIN,
  since: '7.2.0',
  summary: 'Say whether what this connection reads counts as used',
  complexity: 'O(1)',
  parse: (args) => parseSwitch(argument(args, 2), { yes: 'on', no: 'off' }),
  run(ctx, on) {
    ctx.session.noTouch = on;
    return OK;
  },
});

const reply: Subcommand<'on' | 'off' | 'skip'> = subcommand({
  name: 'CLIENT|REPLY',
  arity: 3,
  flags: PLAIN,
  since: '3.2.0',
  summary: 'Switch replies off and on, or skip the next one',
  complexity: 'O(1)',
  parse(args) {
    const mode = argument(args, 2).toLowerCase();
    if (mode === 'on' || mode === 'off' || mode === 'skip') return mode;
    throw syntaxError();
  },
  run({ session }, mode) {
    if (mode === 'on') {
      session.replyMode = 'on';
      return OK;
    }
    if (mode === 'off') session.replyMode = 'off';
    else if (session.replyMode !== 'off') session.replyMode = 'skip-next';
    return NO_REPLY;
  },
});

const getredir = subcommand({
  name: 'CLIENT|GETREDIR',
  arity: 2,
  flags: PLAIN,
  since: '6.0.0',
  summary: 'Tell which connection gets the invalidations meant for this one',
  complexity: 'O(1)',
  parse: noOptions,
  // Client-side caching is not offered, so it is off for every connection.
  run: () => -1,
});

const trackinginfo = subcommand({
  name: 'CLIENT|TRACKINGINFO',
  arity: 2,
  flags: PLAIN,
  since: '6.2.0',
  summary: 'Tell whether the keys that this connection reads are tracked',
  complexity: 'O(1)',
  parse: noOptions,
  run: () => new MapReply(['flags', new SetReply(['off']), 'redirect', -1, 'prefixes', []]),
});

const HELP_LINES = [
  'GETREDIR',
  '    Return the client ID we are redirecting to when tracking is enabled.',
  'GETNAME',
  '    Return the name of the current connection.',
  'ID',
  '    Return the ID of the current connection.',
  'INFO',
  '    Return information about the current client connection.',
  'KILL <ip:port>',
  '    Kill connection made from <ip:port>.',
  'KILL <option> <value> [<option> <value> [...]]',
  '    Kill connections. Options are:',
  '    * ADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made from the specified address',
  '    * LADDR (<ip:port>|<unixsocket>:0)',
  '      Kill connections made to specified local address',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Kill connections by type.',
  '    * USER <username>',
  '      Kill connections authenticated by <username>.',
  '    * SKIPME (YES|NO)',
  '      Skip killing current connection (default: yes).',
  'LIST [options ...]',
  '    Return information about client connections. Options:',
  '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
  '      Return clients of specified type.',
  'REPLY (ON|OFF|SKIP)',
  '    Control the replies sent to the current connection.',
  'SETNAME <name>',
  '    Assign the name <name> to the current connection.',
  'SETINFO <option> <value>',
  '    Set client meta attr. Options are:',
  '    * LIB-NAME: the client lib name.',
  '    * LIB-VER: the client lib version.',
  'TRACKINGINFO',
  '    Report tracking status for the current connection.',
  'NO-EVICT (ON|OFF)',
  '    Protect current client connection from eviction.',
  'NO-TOUCH (ON|OFF)',
  '    Will not touch LRU/LFU stats when this mode is on.',
];

export const client = container({
  name: 'CLIENT',
  group: 'connection',
  since: '2.4.0',
  summary: 'Commands about connections of clients',
  subcommands: [
    id,
    info,
    list,
    setname,
    getname,
    setinfo,
    kill,
    noEvict,
    noTouch,
    reply,
    getredir,
    trackinginfo,
    help({ container: 'CLIENT', since: '5.0.0', lines: HELP_LINES }),
  ],
});
