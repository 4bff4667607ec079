/**
 * One client connection: bytes in, commands to the dispatcher, replies out in the order of the commands.
 *
 * Input is decoded chunk by chunk; all replies that are known by the end of a turn of the event loop go out in
 * one write then. The writes of all connections follow each other, after everything that was read in the turn: a
 * client process with several connections is woken by the first one, and finds the others when it is done with that,
 * while one woken by each of them would sleep in between (ADR 0003).
 *
 * A session is *blocked*, and then decodes nothing and does not read its socket, while
 * - `pending`: as many commands as `client-pending-max` allows are under way, until half are answered;
 * - `barrier`: a command about the whole server waits for the commands before it (see dispatch.ts);
 * - `running`: such a command is under way.
 * What has arrived by then stays in the decoder, bounded by one chunk and counted like any input.
 */
import { ProtocolError, ReplyError } from '../errors.ts';
import type { SessionPort } from '../commands/ports.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Connection, ConnectionHandlers } from '../platform/transport.ts';
import { MULTIBULK_MAX, RequestDecoder } from '../resp/decoder.ts';
import { encodeError, type Protocol } from '../resp/reply.ts';
import type { Prepared } from '../cluster/execute.ts';
import type { DirectReads } from './direct-reads.ts';
import { type AnswerSink, PendingCall, ReplyQueue } from './reply-queue.ts';
import type { ClientOrder, Router } from './router.ts';
import type { ServerSettings } from './settings.ts';
import type { CommandStat, ServerStats } from './stats.ts';

/** What a session needs from those around it; the same object for all sessions. */
export interface SessionHost {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ServerSettings;
  readonly stats: ServerStats;
  readonly router: Router;
  readonly direct: DirectReads;
  /** Commands under way on this node. */
  pendingRequests: number;
  /** Runs or submits one command. It calls `reply`, `submit`, `hold` or `suspend` of the session. */
  dispatch(session: Session, args: string[]): void;
  /** Calls `session.onTurnEnd` at the end of this turn, once however often it is asked for. */
  atTurnEnd(session: Session): void;
  onClosed(session: Session): void;
}

type Blocked = 'no' | 'pending' | 'barrier' | 'running';

/** Ready replies of more than this are written before the chunk's last command has run, bytes. */
const WRITE_BYTES_MAX = 1024 * 1024;
/** How long a connection that was ended may make no progress before it is cut, milliseconds. */
const LINGER_MS = 10_000;

export class Session implements SessionPort, ConnectionHandlers, AnswerSink {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  readonly createdAtMs: number;
  lastActiveAtMs: number;
  db = 0;
  protocol: Protocol = 2;
  name = '';
  libName = '';
  libVersion = '';
  user = 'default';
  noEvict = false;
  noTouch = false;
  replyMode: SessionPort['replyMode'] = 'on';
  lastCommand = '';
  bytesIn = 0;
  bytesOut = 0;
  /** Owned by the host: true while a call of `onTurnEnd` is due. */
  turnEndDue = false;

  readonly #host: SessionHost;
  readonly #connection: Connection;
  readonly #decoder: RequestDecoder;
  readonly #queue = new ReplyQueue();
  /** As the router knows it. */
  readonly order: ClientOrder;
  #authenticated: boolean;
  #blocked: Blocked = 'no';
  /** Everything that has come is decoded: there is nothing to go on with. */
  #drained = true;
  /** The command that waits at a barrier. */
  #held: string[] | null = null;
  #reading = true;
  /** Set by QUIT and protocol errors: no command is accepted any more. */
  #closing = false;
  /** The client sends no more; what it has sent is still worked off. */
  #inputEnded = false;
  #closed = false;
  /** When `end` was called or the unsent bytes last became fewer; monotonic milliseconds. */
  #endedAtMs: number | null = null;
  #unsentBytes = 0;
  /** Since when the output is above the soft limit. */
  #softSinceMs: number | null = null;

  constructor(host: SessionHost, connection: Connection, id: number) {
    this.#host = host;
    this.#connection = connection;
    this.id = id;
    this.address = connection.remoteAddress;
    this.localAddress = connection.localAddress;
    this.createdAtMs = this.lastActiveAtMs = host.clock.monotonicMs();
    this.#decoder = new RequestDecoder({
      get protoMaxBulkLen() {
        return host.settings.protoMaxBulkLen;
      },
      multibulkMax: MULTIBULK_MAX,
    });
    this.#authenticated = host.settings.requirepass === '';
    this.#decoder.trusted = this.#authenticated;
    this.order = host.router.openClient();
    connection.setKeepAlive(host.settings.tcpKeepalive * 1000);
    connection.handle(this);
  }

  get authenticated(): boolean {
    // When the password was taken away meanwhile, nothing is left to prove.
    return this.#authenticated || this.#host.settings.requirepass === '';
  }
  set authenticated(value: boolean) {
    this.#authenticated = value;
    this.#decoder.trusted = value;
  }

  get queryBufferBytes(): number {
    return this.#decoder.bufferedBytes;
  }
  get argvBytes(): number {
    return this.#decoder.argvBytes;
  }
  get outputBufferBytes(): number {
    return this.#queue.bytes + this.#connection.bufferedBytes;
  }
  /** Commands under way. */
  get pending(): number {
    return this.#queue.pending;
  }
  /** True while the reply of the current command must not be sent. */
  get muted(): boolean {
    return this.replyMode === 'off' || this.replyMode === 'skip-this';
  }

  // -- Called by the dispatcher ------------------------------------------------------------------

  /** The reply of the current command, encoded. */
  reply(text: string): void {
    if (text.charCodeAt(0) === 45 /* - */) this.#host.stats.countError(text);
    if (!this.muted) this.#queue.add(text);
  }

  /** Hands a command on keys to the router. Its reply, if it is known at once; else it comes by itself. */
  submit(prepared: Prepared, stat: CommandStat): string | undefined {
    const host = this.#host;
    const call = new PendingCall(this, prepared, this.order, stat, this.muted);
    const reply = host.router.submit(call) ?? call.reply;
    if (reply !== undefined) return reply;
    this.#queue.reserve(call);
    host.pendingRequests++;
    return undefined;
  }

  /** The command is to be dispatched again when all before it have been answered. */
  hold(args: string[]): void {
    this.#held = args;
    this.#blocked = 'barrier';
  }

  /** A command runs on; nothing is decoded until `finish`. */
  suspend(): void {
    this.#blocked = 'running';
  }

  /** The end of a suspended command, after its `reply`. */
  finish(): void {
    this.#blocked = 'no';
    if (!this.#closed) this.#host.atTurnEnd(this);
  }

  // -- SessionPort ---------------------------------------------------------------------------------

  closeAfterReplies(): void {
    this.#closing = true;
    if (!this.#closed) this.#host.atTurnEnd(this);
  }

  kill(): void {
    this.#closing = true;
    this.#connection.destroy();
  }

  reset(): void {
    this.db = 0;
    this.protocol = 2;
    this.name = '';
    this.user = 'default';
    this.authenticated = this.#host.settings.requirepass === '';
    this.noEvict = false;
    this.noTouch = false;
    this.replyMode = 'on';
  }

  // -- ConnectionHandlers --------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    const { clock, stats } = this.#host;
    this.lastActiveAtMs = clock.monotonicMs();
    this.bytesIn += chunk.length;
    stats.netInputBytes += chunk.length;
    if (this.#closing) return;
    if (!this.#decoder.trusted) this.#decoder.trusted = this.authenticated;
    this.#decoder.feed(chunk);
    this.#run();
    this.#host.atTurnEnd(this);
  }

  /** The client sends no more; what it asked for is still answered. */
  onEnd(): void {
    this.#inputEnded = true;
    this.#run();
    this.#host.atTurnEnd(this);
  }

  onClose(error?: Error): void {
    this.#closed = true;
    this.#closing = true;
    this.#held = null;
    this.#queue.clear();
    this.#host.router.closeClient(this.order);
    if (error !== undefined)
      this.#host.log.debug({ id: this.id, err: error }, 'client connection broke');
    this.#host.onClosed(this);
  }

  // -- Called by the host --------------------------------------------------------------------------

  onAnswered(call: PendingCall): void {
    this.#host.pendingRequests--;
    if (this.#closed) return;
    if (call.reply?.charCodeAt(0) === 45 /* - */) {
      call.stat.failedCalls++;
      this.#host.stats.countError(call.reply);
    }
    this.#queue.settle(call);
    this.#host.atTurnEnd(this);
  }

  /** Writes what became ready, and goes on with input that had to wait. */
  onTurnEnd(): void {
    if (this.#closed) return;
    if (this.#mayGoOn() && !this.#drained) this.#run();
    this.#flush();
  }

  /** Once a second or so: idle time, soft output limit, connections that do not end. */
  onTick(nowMs: number): void {
    this.#checkOutput();
    if (this.#endedAtMs !== null) this.#checkEnd(nowMs, this.#endedAtMs);
    else this.#checkIdle(nowMs);
  }

  // -- Input -----------------------------------------------------------------------------------------

  /** True when a block has ended, with input left to decode. Runs the command at a barrier. */
  #mayGoOn(): boolean {
    const pending = this.#queue.pending;
    if (this.#blocked === 'pending' && pending * 2 < this.#host.settings.clientPendingMax) {
      this.#blocked = 'no';
    } else if (this.#blocked === 'barrier' && pending === 0 && this.#held !== null) {
      const args = this.#held;
      this.#held = null;
      this.#blocked = 'no';
      this.#host.dispatch(this, args);
    }
    return this.#blocked === 'no';
  }

  /** Decodes and dispatches until input ends or the session is blocked. */
  #run(): void {
    const decoder = this.#decoder;
    const { direct } = this.#host;
    this.#drained = false;
    direct.begin();
    try {
      while (this.#blocked === 'no' && !this.#closing) {
        if (this.#queue.pending >= this.#host.settings.clientPendingMax) {
          this.#blocked = 'pending';
          break;
        }
        if (direct.answer(this, decoder)) {
          if (direct.isFilling) this.#takeDirect();
          continue;
        }
        this.#takeDirect();
        const args = decoder.next();
        if (args === null) {
          this.#drained = true;
          this.#closing ||= this.#inputEnded;
          break;
        }
        this.#host.dispatch(this, args);
        direct.begin();
        if (this.#queue.readyBytes > WRITE_BYTES_MAX) this.#flush();
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#onProtocolError(error);
    }
    decoder.retain();
    this.#setReading(this.#blocked === 'no' || this.#closing);
    this.#checkInput();
  }

  /** Replies that are bytes so far go behind those that are in the queue. */
  #takeDirect(): void {
    const { out } = this.#host.direct;
    if (out.used === 0) return;
    this.#queue.add(out.take());
    if (this.#queue.readyBytes > WRITE_BYTES_MAX) this.#flush();
  }

  #onProtocolError(error: ProtocolError): void {
    const { log, stats } = this.#host;
    stats.protocolErrors++;
    log.debug({ id: this.id, address: this.address, reason: error.message }, 'protocol error');
    this.reply(encodeError(new ReplyError('ERR', `Protocol error: ${error.message}`)));
    this.closeAfterReplies();
  }

  #setReading(reading: boolean): void {
    if (reading === this.#reading) return;
    this.#reading = reading;
    if (reading) this.#connection.resume();
    else this.#connection.pause();
  }

  #checkInput(): void {
    const bytes = this.#decoder.bufferedBytes;
    if (bytes <= this.#host.settings.clientQueryBufferLimit) return;
    this.#host.stats.queryBufferDisconnects++;
    this.#host.log.warn(
      { id: this.id, address: this.address, bytes },
      'query buffer limit reached',
    );
    this.kill();
  }

  // -- Output ----------------------------------------------------------------------------------------

  #flush(): void {
    if (this.#queue.readyBytes > 0) {
      const text = this.#queue.take();
      this.bytesOut += text.length;
      this.#host.stats.netOutputBytes += text.length;
      this.#connection.write(text);
    }
    if (this.outputBufferBytes > 0) this.#checkOutput();
    if (this.#closing && this.#endedAtMs === null && this.#isIdle()) this.#end();
  }

  /** Nothing is under way and nothing waits. */
  #isIdle(): boolean {
    return this.#queue.pending === 0 && this.#blocked !== 'running' && this.#held === null;
  }

  #end(): void {
    this.#endedAtMs = this.#host.clock.monotonicMs();
    this.#unsentBytes = this.#connection.bufferedBytes;
    // Input is read and dropped from now on: unread bytes would turn the close into a reset, which may
    // take the last reply with it.
    this.#setReading(true);
    this.#connection.end();
  }

  #checkOutput(): void {
    const { hardBytes, softBytes, softSeconds } =
      this.#host.settings.clientOutputBufferLimit.normal;
    const bytes = this.outputBufferBytes;
    const overHard = hardBytes > 0 && bytes > hardBytes;
    if (!overHard && !this.#isOverSoft(softBytes > 0 && bytes > softBytes, softSeconds)) return;
    if (this.#closed) return;
    this.#host.stats.outputBufferDisconnects++;
    this.#host.log.warn(
      { id: this.id, address: this.address, bytes },
      'output buffer limit reached',
    );
    this.kill();
  }

  /** Whether the output has been above the soft limit for its time; `above`: it is now. */
  #isOverSoft(above: boolean, softSeconds: number): boolean {
    if (!above) {
      this.#softSinceMs = null;
      return false;
    }
    const nowMs = this.#host.clock.monotonicMs();
    this.#softSinceMs ??= nowMs;
    return nowMs - this.#softSinceMs >= softSeconds * 1000;
  }

  #checkEnd(nowMs: number, sinceMs: number): void {
    const unsent = this.#connection.bufferedBytes;
    if (unsent < this.#unsentBytes) this.#endedAtMs = nowMs;
    else if (nowMs - sinceMs >= LINGER_MS) this.kill();
    this.#unsentBytes = unsent;
  }

  #checkIdle(nowMs: number): void {
    const { timeout } = this.#host.settings;
    if (timeout === 0 || !this.#isIdle() || nowMs - this.lastActiveAtMs < timeout * 1000) return;
    this.#host.stats.idleDisconnects++;
    this.#host.log.debug({ id: this.id, address: this.address }, 'closing idle client');
    this.kill();
  }
}
