/**
 * The one catalogue of errors that clients can see: each code is the first word of an error reply.
 * Redis's own codes keep Redis's texts, because clients match on them; ours tell what happened to
 * the data. `docs/errors.md` lists the same codes, and a test compares the two.
 */
export const ERROR_CODES = {
  ERR: 'The request is wrong, or failed for the reason given; nothing was changed.',
  WRONGTYPE: 'The key holds a value of another type; nothing was changed.',
  NOAUTH: 'The connection must authenticate first.',
  WRONGPASS: 'The name or the password is wrong.',
  NOPROTO: 'HELLO asked for a protocol version that is not spoken here.',
  OOM: 'Memory is full and the eviction policy allows no eviction; nothing was changed.',
  BUSYKEY: 'RESTORE found the target key taken; nothing was changed.',
  LOADING: 'This node is still joining the cluster; try again soon. Nothing was changed.',
  STOREDOWN: 'The database is not reachable; nothing was changed.',
  STOREFAIL: 'The database refused this write, or one that this command saw; nothing was changed.',
  NOTDONE: 'The command was not run within its time; nothing was changed.',
  UNKNOWN: 'The outcome is unknown: the write may or may not have been applied.',
  LEGACYDOWN: 'The key is only in the legacy source, which did not answer properly.',
  BUSY: 'A bound on waiting work was reached; nothing was changed.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error whose text goes to the client as `-CODE message`. Handlers throw it; the session lives on. */
export class ReplyError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReplyError';
    this.code = code;
  }
}

/** Broken framing: the reply is `-ERR Protocol error: <reason>` and the connection is closed after it. */
export class ProtocolError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'ProtocolError';
  }
}

// The texts that more than one place needs, spelled as Redis spells them.
export const SYNTAX_ERROR = 'syntax error';
export const NOT_AN_INTEGER = 'value is not an integer or out of range';
export const NOT_A_FLOAT = 'value is not a valid float';
export const WRONG_TYPE = 'Operation against a key holding the wrong kind of value';

export const syntaxError = (): ReplyError => new ReplyError('ERR', SYNTAX_ERROR);
export const notAnInteger = (): ReplyError => new ReplyError('ERR', NOT_AN_INTEGER);
export const notAFloat = (): ReplyError => new ReplyError('ERR', NOT_A_FLOAT);
export const wrongType = (): ReplyError => new ReplyError('WRONGTYPE', WRONG_TYPE);
