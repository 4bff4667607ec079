/** When keys expire: the EXPIRE and TTL families, PERSIST. */
import { ReplyError } from '../errors.ts';
import type { Reply } from '../resp/reply.ts';
import { argument, integer, ONE_KEY } from './arguments.ts';
import {
  type Args,
  type Command,
  type DataCommand,
  type DataContext,
  dataCommand,
} from './command.ts';
import { type ExpiryUnit, invalidExpireTime, momentMs, storableMoment } from './expiry.ts';
import type { Int64 } from './numbers.ts';

/** Under which condition on the current expiry the new one is set; several must all hold. */
interface ExpireCondition {
  nx: boolean;
  xx: boolean;
  gt: boolean;
  lt: boolean;
}

interface ExpireOptions {
  readonly key: string;
  readonly amount: Int64;
  readonly condition: Readonly<ExpireCondition> | null;
}

/** What differs between the four commands. */
interface ExpireForm {
  readonly name: string;
  readonly unit: ExpiryUnit;
  readonly since: string;
  readonly summary: string;
}

function expireCommand({ name, unit, since, summary }: ExpireForm): DataCommand<ExpireOptions> {
  return dataCommand<ExpireOptions>({
    name,
    group: 'generic',
    arity: -3,
    flags: ['write', 'fast'],
    keys: ONE_KEY,
    since,
    summary,
    complexity: 'O(1)',
    parse: parseExpire,
    run: (ctx, options) => runExpire(ctx, options, { unit, command: name.toLowerCase() }),
  });
}

export const expire = expireCommand({
  name: 'EXPIRE',
  unit: 'ex',
  since: '1.0.0',
  summary: 'Let the key expire after so many seconds',
});
export const pexpire = expireCommand({
  name: 'PEXPIRE',
  unit: 'px',
  since: '2.6.0',
  summary: 'Let the key expire after so many milliseconds',
});
export const expireat = expireCommand({
  name: 'EXPIREAT',
  unit: 'exat',
  since: '1.2.0',
  summary: 'Let the key expire at a moment, in seconds since 1970',
});
export const pexpireat = expireCommand({
  name: 'PEXPIREAT',
  unit: 'pxat',
  since: '2.6.0',
  summary: 'Let the key expire at a moment, in milliseconds since 1970',
});

function parseExpire(args: Args): ExpireOptions {
  // As in Redis, options are complained of before the number.
  const condition = args.length > 3 ? parseCondition(args) : null;
  return { key: argument(args, 1), amount: integer(argument(args, 2)), condition };
}

function parseCondition(args: Args): ExpireCondition {
  const condition = { nx: false, xx: false, gt: false, lt: false };
  for (const option of args.slice(3)) {
    const name = option.toLowerCase();
    if (name === 'nx' || name === 'xx' || name === 'gt' || name === 'lt') condition[name] = true;
    else throw new ReplyError('ERR', `Unsupported option ${option}`);
  }
  const { nx, xx, gt, lt } = condition;
  if (nx && (xx || gt || lt)) throw incompatible('NX and XX, GT or LT');
  if (gt && lt) throw incompatible('GT and LT');
  return condition;
}

function incompatible(options: string): ReplyError {
  return new ReplyError('ERR', `${options} options at the same time are not compatible`);
}

function runExpire(
  ctx: DataContext,
  { key, amount, condition }: ExpireOptions,
  form: { unit: ExpiryUnit; command: string },
): Reply {
  const exact = momentMs(amount, form.unit, ctx.nowMs);
  if (exact === undefined) throw invalidExpireTime(form.command);
  const moment = storableMoment(exact);
  const current = ctx.keys.expiresAtMs(ctx.db, key);
  if (current === undefined) return 0;
  if (condition !== null && !holds(condition, current, moment)) return 0;
  // Not left to `setExpiry`, for which the moment 0 means never.
  if (moment <= ctx.nowMs) ctx.keys.remove(ctx.db, key);
  else ctx.keys.setExpiry(ctx.db, key, moment);
  return 1;
}

/** `current` 0 is no expiry, which GT and LT take as later than any moment. */
function holds(condition: ExpireCondition, current: number, moment: number): boolean {
  if (condition.nx && current !== 0) return false;
  if (condition.xx && current === 0) return false;
  if (condition.gt && (current === 0 || moment <= current)) return false;
  return !(condition.lt && current !== 0 && moment >= current);
}

interface TtlForm {
  readonly name: string;
  readonly since: string;
  readonly summary: string;
  /** The reply for a key that expires then. */
  readonly show: (expiresAtMs: number, nowMs: number) => number;
}

function ttlCommand({ name, since, summary, show }: TtlForm): DataCommand<string> {
  return dataCommand<string>({
    name,
    group: 'generic',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: ONE_KEY,
    since,
    summary,
    complexity: 'O(1)',
    parse: (args) => argument(args, 1),
    run(ctx, key) {
      const expiresAtMs = ctx.keys.expiresAtMs(ctx.db, key);
      if (expiresAtMs === undefined) return -2;
      return expiresAtMs === 0 ? -1 : show(expiresAtMs, ctx.nowMs);
    },
  });
}

/** To the nearest second, not down: a key set for 10 s shows 10 at first. */
const toSeconds = (ms: number): number => Math.floor((ms + 500) / 1000);

export const ttl = ttlCommand({
  name: 'TTL',
  since: '1.0.0',
  summary: 'Tell how many seconds the key has left',
  show: (expiresAtMs, nowMs) => toSeconds(expiresAtMs - nowMs),
});
export const pttl = ttlCommand({
  name: 'PTTL',
  since: '2.6.0',
  summary: 'Tell how many milliseconds the key has left',
  show: (expiresAtMs, nowMs) => expiresAtMs - nowMs,
});
export const expiretime = ttlCommand({
  name: 'EXPIRETIME',
  since: '7.0.0',
  summary: 'Tell when the key expires, in seconds since 1970',
  show: toSeconds,
});
export const pexpiretime = ttlCommand({
  name: 'PEXPIRETIME',
  since: '7.0.0',
  summary: 'Tell when the key expires, in milliseconds since 1970',
  show: (expiresAtMs) => expiresAtMs,
});

export const persist = dataCommand<string>({
  name: 'PERSIST',
  group: 'generic',
  arity: 2,
  flags: ['write', 'fast'],
  keys: ONE_KEY,
  since: '2.2.0',
  summary: 'Let the key live for ever',
  complexity: 'O(1)',
  parse: (args) => argument(args, 1),
  run(ctx, key) {
    const expiresAtMs = ctx.keys.expiresAtMs(ctx.db, key);
    if (expiresAtMs === undefined || expiresAtMs === 0) return 0;
    ctx.keys.setExpiry(ctx.db, key, 0);
    return 1;
  },
});

export const EXPIRE_COMMANDS: readonly Command[] = [
  expire,
  pexpire,
  expireat,
  pexpireat,
  ttl,
  pttl,
  expiretime,
  pexpiretime,
  persist,
];
