/**
 * The load generator, in a process of its own: closed loops (each connection sends its commands, waits for
 * all replies, and sends the next) or an open one (pacer.ts). One message asks for a round, one answers it;
 * an error reply ends the process with its text.
 *
 * In a fast open loop it turns without sleeping: a timer's resolution of a millisecond would send commands in
 * bursts, and the burst is then what is measured. At modest rates it sleeps, and leaves the processor to others.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { keyName } from '../load.ts';
import { keyNumbers, requestMaker } from './keys.ts';
import { Pacer } from './pacer.ts';
import { LatencyRecorder } from './recorder.ts';
import { ReplyCounter } from './reply-counter.ts';
import type { GeneratorAnswer, GeneratorRequest } from './request.ts';

/** Commands a second up to which an open loop sleeps: a millisecond brings a few of them. */
const SLEEPS_UP_TO = 5000;
/** Commands under way in an open loop; over it, the server cannot keep up with the rate at all. */
const OUTSTANDING_MAX = 200_000;

interface Connection {
  readonly socket: Socket;
  /** The bytes of the next request on this connection; undefined when there is none left. */
  next(): string | undefined;
  /** Replies of this connection that belong to a command whose last reply has not come yet. */
  replies: number;
  /** When each command under way was to begin, oldest at `head`. */
  sentAtMs: number[];
  head: number;
  counter: ReplyCounter;
}

interface Round {
  readonly request: GeneratorRequest;
  readonly recorder: LatencyRecorder;
  readonly connections: Connection[];
  readonly total: number;
  /** Called when a connection has no command under way any more. */
  onIdle: (connection: Connection) => void;
  readonly finish: () => void;
}

async function run(request: GeneratorRequest): Promise<GeneratorAnswer> {
  const recorder = new LatencyRecorder();
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const { sources, total } = keySources(request);
  const round: Round = {
    request,
    recorder,
    connections: [],
    total,
    onIdle: () => undefined,
    finish,
  };
  for (let i = 0; i < request.connections; i++) {
    const target = request.targets[i % request.targets.length];
    const source = sources[i % sources.length];
    if (target === undefined || source === undefined) throw new Error('no target was given');
    round.connections.push(await open(target.port, source, round));
  }
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  if (request.ratePerSecond === undefined) closedLoops(round);
  else openLoop(round, request.ratePerSecond, startedAtMs);
  await finished;
  const seconds = (performance.now() - startedAtMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  let nulls = 0;
  for (const { socket, counter } of round.connections) {
    nulls += counter.nulls;
    socket.destroy();
  }
  return {
    operations: recorder.count,
    opsPerSecond: recorder.count / seconds,
    p50Ms: recorder.quantile(0.5),
    p99Ms: recorder.quantile(0.99),
    p999Ms: recorder.quantile(0.999),
    maxMs: recorder.maxMs,
    clientUs: user + system,
    nulls,
  };
}

/** One source of requests for each target, and how many commands there will be in all. */
function keySources(request: GeneratorRequest): {
  sources: (() => string | undefined)[];
  total: number;
} {
  const { make } = requestMaker(request);
  if (request.hotKey !== undefined) {
    const bytes = make(request.hotKey);
    return { sources: [() => bytes], total: request.operations };
  }
  const numbers = request.targets.map((target) => keyNumbers(target, request));
  const keyOf = (number: number | undefined): string => make(keyName(request.prefix, number ?? 0));
  if (request.order === 'random') {
    const pick = (from: Uint32Array) => (): string =>
      keyOf(from[Math.floor(Math.random() * from.length)]);
    return { sources: numbers.map(pick), total: request.operations };
  }
  const walk = (from: Uint32Array) => {
    let at = 0;
    return (): string | undefined => (at < from.length ? keyOf(from[at++]) : undefined);
  };
  return {
    sources: numbers.map(walk),
    total: numbers.reduce((sum, { length }) => sum + length, 0),
  };
}

async function open(port: number, next: Connection['next'], round: Round): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const { replies } = requestMaker(round.request);
  const waitFor = round.request.waitFor ?? 0;
  const connection: Connection = {
    socket,
    next,
    replies: 0,
    sentAtMs: [],
    head: 0,
    counter: new ReplyCounter((integer) => {
      if (++connection.replies < replies) return;
      connection.replies = 0;
      if (integer < waitFor) throw new Error(`WAIT ${waitFor} reached only ${integer}`);
      answered(connection, round);
    }),
  };
  socket.on('data', (chunk) => connection.counter.push(chunk));
  socket.on('close', () => {
    if (connection.head < connection.sentAtMs.length) throw new Error('the server hung up');
  });
  return connection;
}

function answered(connection: Connection, round: Round): void {
  const { sentAtMs } = connection;
  const beganAtMs = sentAtMs[connection.head++];
  if (beganAtMs === undefined) throw new Error('a reply came that nobody asked for');
  round.recorder.record(performance.now() - beganAtMs);
  if (connection.head === sentAtMs.length) {
    sentAtMs.length = 0;
    connection.head = 0;
    round.onIdle(connection);
  }
  if (round.recorder.count === round.total) round.finish();
}

/** As redis-benchmark does: `pipeline` commands at once, all their replies, the next ones. */
function closedLoops(round: Round): void {
  let begun = 0;
  round.onIdle = (connection) => {
    let bytes = '';
    const now = performance.now();
    for (let i = 0; i < round.request.pipeline && begun < round.total; i++) {
      const request = connection.next();
      if (request === undefined) break;
      begun++;
      bytes += request;
      connection.sentAtMs.push(now);
    }
    if (bytes !== '') connection.socket.write(bytes, 'latin1');
  };
  for (const connection of round.connections) round.onIdle(connection);
}

/** Commands go to the connections in turn, also to one that has not answered the last yet. */
function openLoop(round: Round, ratePerSecond: number, startMs: number): void {
  const { connections, recorder, total } = round;
  const pacer = new Pacer({ ratePerSecond, startMs, total });
  let begun = 0;
  const turn = (): void => {
    const now = performance.now();
    for (let due = pacer.next(now); due !== undefined; due = pacer.next(now)) {
      const connection = connections[begun++ % connections.length];
      const bytes = connection?.next();
      if (connection === undefined || bytes === undefined) throw new Error('no key is left');
      connection.sentAtMs.push(due);
      connection.socket.write(bytes, 'latin1');
    }
    if (begun - recorder.count > OUTSTANDING_MAX) {
      throw new Error(`the server does not keep up with ${ratePerSecond} commands a second`);
    }
    if (pacer.done) return;
    if (ratePerSecond <= SLEEPS_UP_TO) setTimeout(turn, 1);
    else setImmediate(turn);
  };
  turn();
}

async function answer(request: GeneratorRequest): Promise<void> {
  process.send?.(await run(request));
}

process.on('disconnect', () => process.exit(0));
process.on('message', (request) => void answer(request as GeneratorRequest));
process.send?.('ready');
