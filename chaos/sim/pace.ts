/**
 * Watches how long clients wait. A node that is fine answers within the request's bound, whatever else
 * happens. Where one node or link is in trouble and nothing else is, more is promised: what does not need
 * it goes on at its pace, and for what does it is replaced within about two leases.
 */
import { keysOf } from '../checkers/linearizability/keyspace-model.ts';
import { slotOf } from '../../src/cluster/slot.ts';
import { place } from '../../src/cluster/view.ts';
import type { Sim } from './cluster.ts';
import type { Ground } from './ground.ts';
import type { Plan } from './plan.ts';

/** A node's own bound for a command, what its checks are late by, and the way to its client and back. */
const ANSWER_MS_MAX = 5_000 + 700;
/** Of leases, for what needs a node that is replaced: see `complaints.ts`; and what follows a view. */
const LEASES_MAX = 2.1;
const AFTER_VIEW_MS = 600;
/** Many times what a command takes where nothing is wrong, with all the queues of hot keys. */
const PACE_MS_MAX = 500;

export interface Answered {
  readonly node: string;
  readonly command: readonly string[];
  readonly tookMs: number;
  readonly reply: unknown;
}

export class PaceWatch {
  readonly #sim: Sim;
  readonly #ground: Ground;
  readonly #confined: boolean;
  readonly #answerMsMax: number;
  /** Commands wait for nothing but their own key. */
  #alone: boolean;
  readonly findings: string[] = [];

  constructor(sim: Sim, ground: Ground, { faults, pace, options }: Plan) {
    this.#sim = sim;
    this.#ground = ground;
    this.#confined = faults.every(({ fault }) => fault.confined === true);
    this.#answerMsMax =
      this.#confined && faults.length === 1
        ? LEASES_MAX * options.leaseMs! + AFTER_VIEW_MS
        : ANSWER_MS_MAX;
    // Replies of a connection come in order.
    this.#alone = pace.depth === 1;
  }

  /** A command over several owners holds up what else its keys are needed for, as long as it is under way. */
  onSend(command: readonly string[]): void {
    if (keysOf(command).length > 1) this.#alone = false;
  }

  onAnswer({ node, command, tookMs, reply }: Answered): void {
    const nowMs = this.#sim.time.monotonicMs();
    if (!this.#ground.isCalmSince(node, nowMs - tookMs)) return;
    const say = (why: string): void => {
      const what = `${command.join(' ')} to ${node} took ${tookMs.toFixed(0)} ms until ${nowMs.toFixed(3)}`;
      this.findings.push(`${what}${why}: ${String(reply)}`);
    };
    const isFine = !this.#ground.endangered.has(node);
    if (tookMs > (isFine ? this.#answerMsMax : ANSWER_MS_MAX)) say('');
    else if (
      tookMs > PACE_MS_MAX &&
      isFine &&
      this.#needsNobody(keysOf(command)[0]!, nowMs - tookMs)
    )
      say(', and needs no node that is in trouble');
  }

  /**
   * No owner of the key was in any trouble, as the node that was asked was not, and it waited as long in a view
   * that stood: what a new view costs comes on top.
   */
  #needsNobody(key: string, sinceMs: number): boolean {
    if (!this.#confined || !this.#alone || this.#ground.endangered.size === 0) return false;
    const { committedViews } = this.#sim.database;
    const at = committedViews.findLastIndex(({ atMs }) => atMs < sinceMs);
    const [then, next] = [committedViews[at], committedViews[at + 1]];
    if (then === undefined || then.atMs > sinceMs - AFTER_VIEW_MS) return false;
    if (next !== undefined && next.atMs < sinceMs + PACE_MS_MAX) return false;
    const { owners, learners } = place(then.view)[slotOf(key)]!;
    return ![...owners, ...learners].some((member) => this.#ground.endangered.has(member.node));
  }
}
