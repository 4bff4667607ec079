/**
 * Runs commands on keys against a real keyspace in this process, as a primary does, without sockets,
 * cluster or database: prepare, run on a working set, apply the effects.
 */
import { createPrepare, type PreparedCommand } from '../../src/commands/prepare.ts';
import { encodeError } from '../../src/resp/reply.ts';
import { ReplyError } from '../../src/errors.ts';
import { type Effect, EffectKind } from '../../src/storage/memory/effect.ts';
import { Keyspace } from '../../src/storage/memory/keyspace.ts';
import { type KeyPolicy, WorkingSet } from '../../src/storage/memory/working-set.ts';
import { put } from './keyspace.ts';

const SLOT = 0;

export class CommandRunner {
  /** Cluster time, milliseconds since 1970. */
  nowMs = 1_700_000_000_000;
  db = 0;
  protocol: 2 | 3 = 2;
  /** As after CLIENT NO-TOUCH. */
  noTouch = false;
  protoMaxBulkLen = 512 * 2 ** 20;
  policy: KeyPolicy = { persistent: true, defaultTtlMs: 0, tombstoneMs: 0 };
  readonly keyspace: Keyspace;
  /** Effects of the last command. */
  effects: readonly Effect[] = [];
  readonly #prepare: ReturnType<typeof createPrepare>;

  constructor() {
    const random = { float: () => 0.5, below: () => 0, id: () => '0'.repeat(32) };
    this.keyspace = new Keyspace({ random, nowMs: () => this.nowMs });
    const limitOf = (): number => this.protoMaxBulkLen;
    const limits = {
      get protoMaxBulkLen(): number {
        return limitOf();
      },
    };
    this.#prepare = createPrepare({ slotOf: () => SLOT, limits, random: random.float });
  }

  /** Parses only; throws what the parser throws. */
  prepare(...args: string[]): PreparedCommand {
    return this.#prepare(args, this.db, this.protocol, this.noTouch);
  }

  /** The reply's bytes. A failed command changes nothing. */
  run(...args: string[]): string {
    this.effects = [];
    try {
      const prepared = this.prepare(...args);
      const env = { keyspace: this.keyspace, policyOf: () => this.policy, slotOf: () => SLOT };
      const set = new WorkingSet(env, this.nowMs, prepared.slot);
      const { reply, failed } = prepared.run(set);
      if (!failed) this.#apply(set.effects());
      return reply;
    } catch (error) {
      if (error instanceof ReplyError) return encodeError(error);
      throw error;
    }
  }

  /**
   * Runs a command written as on a command line (`''` is the empty argument), and returns the reply
   * on one line: `+OK`, `:1`, `$2 hi`, `*2 $1 a $1 b`.
   */
  line(text: string): string {
    const args = text.split(' ').map((word) => (word === "''" ? '' : word));
    return this.run(...args)
      .trimEnd()
      .replaceAll('\r\n', ' ');
  }

  #apply(effects: readonly Effect[]): void {
    this.effects = effects;
    for (const { kind, slot, db, key, value, expiresAtMs } of effects) {
      if (kind === EffectKind.Put) put(this.keyspace, slot, db, key, value, expiresAtMs);
      else if (kind === EffectKind.Delete) this.keyspace.remove(slot, db, key);
      else {
        const entry = this.keyspace.find(slot, db, key);
        if (entry !== undefined) put(this.keyspace, slot, db, key, entry.value, expiresAtMs);
      }
    }
  }
}

/** A title, and command lines with the replies they must get, run one after another on an empty keyspace. */
export type Transcript = readonly [title: string, steps: Readonly<Record<string, string>>];

/** Runs the steps of a transcript and returns them with the replies they got. */
export function play(
  runner: CommandRunner,
  steps: Readonly<Record<string, string>>,
): Record<string, string> {
  const replies: Record<string, string> = {};
  for (const step of Object.keys(steps)) replies[step] = runner.line(step.trim());
  return replies;
}
