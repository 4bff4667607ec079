/**
 * A raw RESP client for tests: what it returns holds the exact bytes of each reply beside the decoded
 * value, and it can send bytes that no well-behaved client would. It has no retries and no
 * reconnection, so a test sees exactly what the server did.
 *
 * Bytes are binary strings, as in the program: one character (0..255) is one byte.
 */
import { connect, type Socket } from 'node:net';

/** One decoded RESP2 or RESP3 value. */
export type RespValue =
  | {
      readonly kind: 'status' | 'error' | 'bulk' | 'verbatim' | 'double' | 'bigNumber';
      readonly text: string;
    }
  | { readonly kind: 'integer'; readonly value: number; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'array' | 'set' | 'push'; readonly items: readonly RespValue[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [RespValue, RespValue])[] };

/** A reply: its bytes as they came, and what they mean. */
export interface RespReply {
  readonly raw: string;
  readonly value: RespValue;
}

/** The server closed the connection while a reply was expected. */
export class ConnectionClosed extends Error {
  constructor() {
    super('the server closed the connection');
    this.name = 'ConnectionClosed';
  }
}

export interface RespAddress {
  readonly host: string;
  readonly port: number;
}

export interface RespClientOptions extends RespAddress {
  /** Longest wait for the connection, for a reply or for the end of the connection, milliseconds. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 15_000;

/** The request bytes of a command. */
export function encodeCommand(args: readonly string[]): string {
  let out = `*${args.length}\r\n`;
  for (const arg of args) out += `$${arg.length}\r\n${arg}\r\n`;
  return out;
}

/**
 * The value as plain JavaScript, for assertions: arrays and sets as arrays, maps as arrays of pairs,
 * errors as `Error` with the text as message, integers as numbers, null as null, the rest as strings.
 */
export function toPlain(value: RespValue): unknown {
  switch (value.kind) {
    case 'integer':
    case 'boolean':
      return value.value;
    case 'null':
      return null;
    case 'error':
      return new Error(value.text);
    case 'array':
    case 'set':
    case 'push':
      return value.items.map(toPlain);
    case 'map':
      return value.entries.map(([key, item]) => [toPlain(key), toPlain(item)]);
    case 'status':
    case 'bulk':
    case 'verbatim':
    case 'double':
    case 'bigNumber':
      return value.text;
  }
}

/** The text of a scalar reply; the raw kind name for others. */
export function textOf(value: RespValue): string {
  if ('text' in value) return value.text;
  return value.kind === 'boolean' ? String(value.value) : value.kind;
}

interface Waiter {
  readonly resolve: (reply: RespReply) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class RespClient {
  /** Out-of-band RESP3 pushes, in the order they came. */
  readonly pushes: RespReply[] = [];
  /** True once the server, or this client, has ended the connection. */
  closed = false;

  private readonly socket: Socket;
  private readonly timeoutMs: number;
  private input = '';
  private readonly arrived: RespReply[] = [];
  private readonly waiters: Waiter[] = [];
  private readonly whenClosed: Promise<void>;
  private failure: Error = new ConnectionClosed();

  private constructor(socket: Socket, timeoutMs: number) {
    this.socket = socket;
    this.timeoutMs = timeoutMs;
    socket.setEncoding('latin1');
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.onData(String(chunk)));
    // A reset is one more way to be disconnected; 'close' follows and tells the waiters.
    socket.on('error', () => socket.destroy());
    this.whenClosed = new Promise((resolve) => {
      socket.once('close', () => {
        this.onClose();
        resolve();
      });
    });
    socket.once('end', () => socket.destroy());
  }

  /** Connects; rejects with the socket's error, or when nobody answers in time. */
  static connect(options: RespClientOptions): Promise<RespClient> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      const socket = connect({ host: options.host, port: options.port });
      const timer = setTimeout(() => {
        socket.destroy(new Error(`no connection to port ${options.port} in ${timeoutMs} ms`));
      }, timeoutMs);
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(new RespClient(socket, timeoutMs));
      });
    });
  }

  /** Sends one command and waits for its reply. Error replies are replies, not rejections. */
  command(...args: string[]): Promise<RespReply> {
    this.write(encodeCommand(args));
    return this.nextReply();
  }

  /** Like `command`, with the reply as plain JavaScript (see `toPlain`). */
  async plain(...args: string[]): Promise<unknown> {
    return toPlain((await this.command(...args)).value);
  }

  /** Sends several commands in one write; their replies, in order. */
  async pipeline(commands: readonly (readonly string[])[]): Promise<RespReply[]> {
    this.write(commands.map(encodeCommand).join(''));
    const replies: RespReply[] = [];
    for (let i = 0; i < commands.length; i++) replies.push(await this.nextReply());
    return replies;
  }

  /** Sends bytes as they are. Bytes for a closed connection are dropped; the next read tells. */
  write(bytes: string): void {
    if (!this.closed) this.socket.write(bytes, 'latin1');
  }

  /** The next reply in order; rejects with `ConnectionClosed`, or when none came in time. */
  nextReply(): Promise<RespReply> {
    const ready = this.arrived.shift();
    if (ready) return Promise.resolve(ready);
    if (this.closed) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.failure = new Error(`no reply in ${this.timeoutMs} ms`);
        this.socket.destroy();
      }, this.timeoutMs);
      this.waiters.push({ resolve, reject, timer });
    });
  }

  /** Waits until the server has closed the connection; the replies it sent before, in order. */
  async repliesUntilClose(): Promise<RespReply[]> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.socket.destroy();
    }, this.timeoutMs);
    await this.whenClosed;
    clearTimeout(timer);
    if (late) throw new Error(`the connection is still open after ${this.timeoutMs} ms`);
    return this.arrived.splice(0);
  }

  /** Ends the connection; resolves when the socket is gone. */
  async close(): Promise<void> {
    this.socket.destroy();
    await this.whenClosed;
  }

  private onData(chunk: string): void {
    this.input += chunk;
    let at = 0;
    for (;;) {
      const parsed = parseReply(this.input, at);
      if (!parsed) break;
      this.deliver({ raw: this.input.slice(at, parsed.next), value: parsed.value });
      at = parsed.next;
    }
    if (at > 0) this.input = this.input.slice(at);
  }

  private deliver(reply: RespReply): void {
    if (reply.value.kind === 'push') {
      this.pushes.push(reply);
      return;
    }
    const waiter = this.waiters.shift();
    if (!waiter) {
      this.arrived.push(reply);
      return;
    }
    clearTimeout(waiter.timer);
    waiter.resolve(reply);
  }

  private onClose(): void {
    this.closed = true;
    for (const waiter of this.waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(this.failure);
    }
  }
}

interface Parsed {
  readonly value: RespValue;
  readonly next: number;
}

/** Parses one reply at `at`; undefined while bytes are missing. Throws on what is no RESP. */
export function parseReply(input: string, at: number): Parsed | undefined {
  const lineEnd = input.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const text = input.slice(at + 1, lineEnd);
  const next = lineEnd + 2;
  const type = input.charAt(at);
  switch (type) {
    case '+':
      return { value: { kind: 'status', text }, next };
    case '-':
      return { value: { kind: 'error', text }, next };
    case ':':
      return { value: { kind: 'integer', value: Number(text), text }, next };
    case ',':
      return { value: { kind: 'double', text }, next };
    case '(':
      return { value: { kind: 'bigNumber', text }, next };
    case '#':
      return { value: { kind: 'boolean', value: text === 't' }, next };
    case '_':
      return { value: { kind: 'null' }, next };
    case '$':
    case '=':
      return parseBlob(input, next, {
        kind: type === '$' ? 'bulk' : 'verbatim',
        length: Number(text),
      });
    case '*':
    case '~':
    case '>':
      return parseItems(input, next, { kind: AGGREGATES[type], count: Number(text) });
    case '%':
      return parseMap(input, next, Number(text));
    default:
      throw new Error(`not RESP: ${JSON.stringify(input.slice(at, at + 40))}`);
  }
}

const AGGREGATES: Readonly<Record<'*' | '~' | '>', 'array' | 'set' | 'push'>> = {
  '*': 'array',
  '~': 'set',
  '>': 'push',
};

function parseBlob(
  input: string,
  at: number,
  { kind, length }: { kind: 'bulk' | 'verbatim'; length: number },
): Parsed | undefined {
  if (length < 0) return { value: { kind: 'null' }, next: at };
  if (input.length < at + length + 2) return undefined;
  return { value: { kind, text: input.slice(at, at + length) }, next: at + length + 2 };
}

function parseItems(
  input: string,
  at: number,
  { kind, count }: { kind: 'array' | 'set' | 'push'; count: number },
): Parsed | undefined {
  if (count < 0) return { value: { kind: 'null' }, next: at };
  const items: RespValue[] = [];
  let next = at;
  for (let i = 0; i < count; i++) {
    const item = parseReply(input, next);
    if (!item) return undefined;
    items.push(item.value);
    next = item.next;
  }
  return { value: { kind, items }, next };
}

function parseMap(input: string, at: number, count: number): Parsed | undefined {
  const flat = parseItems(input, at, { kind: 'array', count: count * 2 });
  if (!flat || flat.value.kind !== 'array') return undefined;
  const { items } = flat.value;
  const entries: (readonly [RespValue, RespValue])[] = [];
  for (let i = 0; i < items.length; i += 2) entries.push([items[i]!, items[i + 1]!]);
  return { value: { kind: 'map', entries }, next: flat.next };
}
