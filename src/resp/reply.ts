/**
 * Reply values as handlers return them, and their encoding for RESP2 and RESP3.
 *
 * Bytes travel through the whole program as *binary strings*: one character (0..255) is one byte.
 * V8 stores these with one byte a character, inside its own heap, compares and hashes them natively
 * and writes them to a socket without a copy in JavaScript; small Buffers cost several times more.
 */
import { ReplyError } from '../errors.ts';

/** Protocol version that HELLO chose for a connection. */
export type Protocol = 2 | 3;

/** `+OK` and its like. */
export class Status {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
/** A map in RESP3, a flat array in RESP2. `entries` alternates key, value. */
export class MapReply {
  readonly entries: readonly Reply[];
  constructor(entries: readonly Reply[]) {
    this.entries = entries;
  }
}
/** A set in RESP3, an array in RESP2. */
export class SetReply {
  readonly items: readonly Reply[];
  constructor(items: readonly Reply[]) {
    this.items = items;
  }
}
/** A push in RESP3, an array in RESP2. */
export class PushReply {
  readonly items: readonly Reply[];
  constructor(items: readonly Reply[]) {
    this.items = items;
  }
}
/** A double in RESP3, a bulk string in RESP2. `text` is already formatted. */
export class DoubleReply {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
/** A verbatim string (`txt`) in RESP3, a bulk string in RESP2. */
export class VerbatimReply {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
/** `*-1` in RESP2, `_` in RESP3. */
export const NULL_ARRAY = Symbol('null array');
/** A reply that is no reply: CLIENT REPLY OFF and its like. */
export const NO_REPLY = Symbol('no reply');

export const OK = new Status('OK');

/**
 * What a handler returns: a string is a bulk string (of bytes), a number or bigint an integer, a
 * boolean a RESP3 boolean (`:1`/`:0` in RESP2), an array an array, `null` a null.
 */
export type Reply =
  | string
  | number
  | bigint
  | boolean
  | null
  | typeof NULL_ARRAY
  | typeof NO_REPLY
  | Status
  | ReplyError
  | MapReply
  | SetReply
  | PushReply
  | DoubleReply
  | VerbatimReply
  | readonly Reply[];

/** Encodes `reply` as the bytes of the given protocol version, as a binary string. */
export function encodeReply(reply: Reply, protocol: Protocol): string {
  if (typeof reply === 'string') return `$${reply.length}\r\n${reply}\r\n`;
  if (typeof reply === 'number' || typeof reply === 'bigint') return `:${reply}\r\n`;
  if (reply === null) return protocol === 3 ? '_\r\n' : '$-1\r\n';
  if (typeof reply === 'object') return encodeObject(reply, protocol);
  if (typeof reply === 'boolean') return encodeBoolean(reply, protocol);
  if (reply === NO_REPLY) return '';
  return protocol === 3 ? '_\r\n' : '*-1\r\n';
}

function encodeBoolean(reply: boolean, protocol: Protocol): string {
  if (protocol === 3) return reply ? '#t\r\n' : '#f\r\n';
  return reply ? ':1\r\n' : ':0\r\n';
}

function encodeObject(reply: Extract<Reply, object>, protocol: Protocol): string {
  if (reply instanceof Status) return `+${reply.text}\r\n`;
  if (reply instanceof ReplyError) return encodeError(reply);
  if (reply instanceof MapReply) {
    const head =
      protocol === 3 ? `%${reply.entries.length / 2}\r\n` : `*${reply.entries.length}\r\n`;
    return head + encodeAll(reply.entries, protocol);
  }
  if (reply instanceof SetReply) {
    return `${protocol === 3 ? '~' : '*'}${reply.items.length}\r\n${encodeAll(reply.items, protocol)}`;
  }
  if (reply instanceof PushReply) {
    return `${protocol === 3 ? '>' : '*'}${reply.items.length}\r\n${encodeAll(reply.items, protocol)}`;
  }
  if (reply instanceof DoubleReply) {
    return protocol === 3 ? `,${reply.text}\r\n` : encodeReply(reply.text, 2);
  }
  if (reply instanceof VerbatimReply) {
    return protocol === 3
      ? `=${reply.text.length + 4}\r\ntxt:${reply.text}\r\n`
      : encodeReply(reply.text, 2);
  }
  return `*${reply.length}\r\n${encodeAll(reply, protocol)}`;
}

function encodeAll(items: readonly Reply[], protocol: Protocol): string {
  let out = '';
  for (const item of items) out += encodeReply(item, protocol);
  return out;
}

/** `-CODE text`, on one line whatever the text holds. */
export function encodeError(error: ReplyError): string {
  return `-${error.code} ${error.message.replaceAll(/[\r\n]/g, ' ')}\r\n`;
}
