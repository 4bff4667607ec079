/**
 * One schedule, from its seed to its verdicts: a cluster comes up, clients work while faults come and go,
 * everything heals, and what is there then, and again after everything was killed and started cold, is
 * compared with what the clients were told.
 */
import { slotOf } from '../../src/cluster/slot.ts';
import { type Verdict, verdict } from '../checkers/checker.ts';
import { judgeRun } from '../checkers/index.ts';
import { History } from '../history.ts';
import { keysOf } from '../checkers/linearizability/keyspace-model.ts';
import { CacheWatch } from './cache-watch.ts';
import { Clients } from './clients.ts';
import { ClockWatch } from './clock-watch.ts';
import { NONE_PREFIX, Sim } from './cluster.ts';
import { dirtyKeys, expiriesInMemory, readEverything } from './end-state.ts';
import { Ground } from './ground.ts';
import { LEGACY_PREFIX, needlessCalls } from './legacy.ts';
import type { LogLine } from './log.ts';
import { lossesOf } from './losses.ts';
import { PaceWatch } from './pace.ts';
import { type Focus, type Plan, planOf } from './plan.ts';
import { RemovalWatch } from './removals.ts';
import { restoredBy } from './restored.ts';
import { PrimaryWatch } from './watch.ts';

export interface Outcome {
  readonly seed: number;
  /** Everything that happened, a line each. */
  readonly log: readonly string[];
  readonly verdicts: readonly Verdict[];
  readonly history: History;
  /** Virtual time it took, milliseconds. */
  readonly virtualMs: number;
}

/** A client gives up later than every node does. */
const ANSWER_TIMEOUT_MS = 9_000;
/** Everything heals within this, milliseconds: leases run out, nodes join anew, slots are filled. */
const SETTLE_MS_MAX = 40_000;

export function failures(outcome: Outcome): Verdict[] {
  return outcome.verdicts.filter(({ status }) => status !== 'holds' && status !== 'not-judged');
}

export async function runSchedule(seed: number, focus: Focus = {}): Promise<Outcome> {
  return new Schedule(planOf(seed, focus)).run();
}

class Schedule {
  readonly #plan: Plan;
  readonly #sim: Sim;
  readonly #ground: Ground;
  readonly #history: History;
  readonly #watch: PrimaryWatch;
  readonly #clocks: ClockWatch;
  readonly #removals: RemovalWatch;
  readonly #log: string[] = [];
  readonly #pace: PaceWatch;
  readonly #caches: CacheWatch;
  readonly #dirty: string[] = [];
  readonly #troubles: string[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    const { random, pace } = plan;
    this.#sim = new Sim({
      ...plan.options,
      onLog: (node, line) => this.#say(`${node} ${textOf(line)}`),
    });
    const { time, network, database, legacy } = this.#sim;
    network.jitterMs = () => random.float() ** 2 * pace.jitterMs;
    database.workMs = () => random.float() * pace.databaseMs;
    database.flushMs = () => random.float() ** 2 * pace.databaseMs;
    database.inTwoParts = () => pace.twoParts > 0 && random.chance(pace.twoParts);
    time.sharesTurn = () => pace.sharesTurn > 0 && random.chance(pace.sharesTurn);
    legacy.valueOf = (key) => (slotOf(key) % LEGACY_HOLE === 0 ? undefined : `legacy of ${key}`);
    for (const [node, errorMs] of plan.clockErrorsMs) database.clockErrorMs.set(node, errorMs);
    this.#ground = new Ground({
      sim: this.#sim,
      nodes: plan.nodes,
      sessions: plan.sessions,
      clients: Array.from({ length: pace.clients }, (_, i) => `client-${i + 1}`),
      say: (line) => this.#say(line),
    });
    this.#history = new History({ title: 'simulation', settings: { seed: String(plan.seed) } });
    this.#watch = new PrimaryWatch(this.#sim, this.#history);
    this.#clocks = new ClockWatch(this.#sim, this.#history);
    this.#removals = new RemovalWatch(this.#sim, this.#ground, plan);
    this.#pace = new PaceWatch(this.#sim, this.#ground, plan);
    this.#caches = new CacheWatch(this.#sim, plan, () => this.#keysOf(''));
  }

  async run(): Promise<Outcome> {
    const { seed } = this.#plan;
    this.#describe();
    try {
      await this.#play();
    } catch (error) {
      this.#troubles.push(error instanceof Error ? error.message : String(error));
    }
    this.#watch.stop();
    this.#addEvents();
    const verdicts = [
      verdict('comes-back', 'the cluster as a whole', this.#troubles),
      verdict(
        'answers-in-time',
        `${this.#history.operations.length} commands`,
        this.#pace.findings,
      ),
      this.#noRequestFails(),
      verdict('removals', `${this.#removals.removals} removals`, this.#removals.findings),
      verdict('becomes-clean', 'all keys after the faults', this.#dirty),
      verdict('cache-stays', `${this.#caches.outages} outages`, this.#caches.findings),
      this.#batchesAreBounded(),
      this.#judgeLegacyCalls(),
      ...judgeRun(this.#history, this.#plan.workloads),
    ];
    for (const { checker, status, judged } of verdicts)
      this.#say(`${status} ${checker} (${judged})`);
    const { network, time } = this.#sim;
    this.#say(`${network.carried} messages, ${time.fired} events, digest ${network.digest >>> 0}`);
    const [log, history] = [this.#log, this.#history];
    return { seed, log, verdicts, history, virtualMs: time.monotonicMs() };
  }

  async #play(): Promise<void> {
    const sim = this.#sim;
    const { nodes, clocks } = this.#plan;
    for (const name of nodes) sim.startNode(name, clocks.get(name));
    await this.#settle('at the start', nodes);
    await this.#work();
    this.#heal();
    await this.#settle('after the faults', this.#ground.nodes);
    await this.#untilReaped();
    await sim.run(QUIET_MS);
    this.#dirty.push(...dirtyKeys(sim, { keys: this.#keysOf(''), nodes: this.#ground.nodes }));
    await this.#readAll('after the faults');
    this.#removals.stop();
    for (const { host } of sim.processes()) sim.network.killHost(host);
    await sim.run(500);
    for (const name of this.#ground.nodes) sim.startNode(name);
    await this.#settle('after a cold start', this.#ground.nodes);
    await this.#readAll('after a cold start');
  }

  /** Clients work, and faults come and go. */
  async #work(): Promise<void> {
    const sim = this.#sim;
    const { faults, random, workloads, pace } = this.#plan;
    const { workMs, clients, connections, depth, pauseMsMax, gapMsMax } = pace;
    const working = new Clients({
      sim,
      random,
      history: this.#history,
      workloads,
      clients,
      connections,
      depth,
      pauseMsMax,
      gapMsMax,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
      onSend: (command) => this.#pace.onSend(command),
      onAnswer: (answered) => this.#pace.onAnswer(answered),
    });
    let injected = 0;
    for (const { fault, atMs, random: own } of faults) {
      sim.time.after(atMs, () => {
        this.#say(`fault ${fault.name}`);
        const startedAtMs = sim.time.monotonicMs();
        void fault.inject(this.#ground, own).then(() => {
          injected++;
          const endedAtMs = sim.time.monotonicMs();
          this.#history.addFault({ name: fault.name, detail: '', startedAtMs, endedAtMs });
        });
      });
    }
    await sim.run(workMs);
    await sim.until(() => injected === faults.length, 60_000, 'all faults are over');
    let stopped = false;
    void working.stop().then(() => (stopped = true));
    await sim.until(() => stopped, ANSWER_TIMEOUT_MS + 2_000, 'every client has its answers');
  }

  #heal(): void {
    const { network, database, legacy } = this.#sim;
    this.#say('everything heals');
    legacy.trouble = () => ({});
    network.healAll();
    database.refuse = () => null;
  }

  async #settle(when: string, names: readonly string[]): Promise<void> {
    const sim = this.#sim;
    for (let ms = 0; ms < SETTLE_MS_MAX && !sim.isSettled(names); ms += SETTLE_POLL_MS)
      await sim.run(SETTLE_POLL_MS);
    if (sim.isSettled(names)) return this.#say(`settled ${when}`);
    const why = names.map((name) => {
      const { blocking } = sim.node(name).cluster.problems();
      return `${name}: ${blocking.join('; ') || 'fine'}`;
    });
    throw new Error(`not whole ${when} within ${SETTLE_MS_MAX} ms: ${why.join(' | ')}`);
  }

  /** Rows, and keys without a row, whose time is over go, and all that were given one are over some day. */
  async #untilReaped(): Promise<void> {
    const sim = this.#sim;
    const inMemory = this.#keysOf(NONE_PREFIX);
    // Before that there may have been nobody to do it.
    const beganMs = sim.time.monotonicMs();
    for (;;) {
      const kept = this.#ground.nodes.map((node) => expiriesInMemory(sim, node, inMemory));
      const ends = [...sim.database.expiries(), ...kept.flat()];
      if (ends.length === 0) return;
      const overdueMs = this.#clocks.lowestMs - Math.max(...ends);
      const waitedMs = sim.time.monotonicMs() - beganMs;
      if (overdueMs < Infinity && Math.min(overdueMs, waitedMs) > REAPED_MS_MAX)
        throw new Error(`${ends.length} keys are still there, ${overdueMs} ms after their time`);
      await this.#sim.run(SETTLE_POLL_MS);
    }
  }

  async #readAll(when: string): Promise<void> {
    const keys = this.#keysOf('');
    const end = await readEverything(this.#sim, { when, keys, nodes: this.#ground.nodes });
    this.#history.addEnd(end);
    this.#say(`read ${keys.length} keys ${when}`);
  }

  /** What changed keys without a command of a client. */
  #addEvents(): void {
    const { database, legacy } = this.#sim;
    for (const loss of lossesOf(database.committedViews, this.#keysOf(NONE_PREFIX)))
      this.#history.addEvent(loss);
    const all = this.#keysOf('');
    const keys = all.filter((key) => !key.startsWith(NONE_PREFIX));
    const { leaseMs = LEASE_MS_MAX } = this.#plan.options;
    const inLegacy = (key: string): string | null =>
      key.startsWith(LEGACY_PREFIX) ? (legacy.has(key) ?? null) : null;
    for (const lost of this.#ground.lostCommits)
      this.#history.addEvent(restoredBy(lost, { keys, leaseMs, inLegacy }));
    for (const times of this.#ground.flushes) {
      // Of each key by itself: primaries are emptied one after the other.
      for (const key of all) {
        const values = new Map([[key, inLegacy(key)]]);
        this.#history.addEvent({ why: 'flush', values, ...times });
      }
    }
    for (const key of this.#keysOf(LEGACY_PREFIX)) {
      const value = legacy.has(key);
      if (value === undefined) continue;
      const values = new Map([[key, value]]);
      this.#history.addEvent({
        why: 'the legacy API has it',
        values,
        startedAtMs: 0,
        endedAtMs: 0,
      });
    }
  }

  #judgeLegacyCalls(): Verdict {
    const { legacy } = this.#sim;
    const { operations, events } = this.#history;
    const needless = needlessCalls({
      calls: legacy.calls,
      operations,
      has: (key) => legacy.has(key) !== undefined,
      forgotten: events,
    });
    return verdict('asked-once', `${legacy.fetches} calls of the legacy API`, needless);
  }

  /** Keys with this prefix that some command named. */
  #keysOf(prefix: string): string[] {
    const named = this.#history.operations.flatMap(({ command }) => keysOf(command));
    return [...new Set(named)].filter((key) => key.startsWith(prefix));
  }

  /** What is promised where nothing breaks, whatever clocks do and operators ask for. */
  #noRequestFails(): Verdict {
    const name = 'no-request-fails';
    if (this.#plan.faults.some(({ fault }) => fault.harmless !== true))
      return { checker: name, status: 'not-judged', judged: 'something broke', findings: [] };
    // Whoever asks a node that has not joined yet is told so.
    const failed = this.#history.operations.filter(
      ({ outcome, reply }) =>
        outcome !== 'ok' && reply !== 'ERR no such key' && !String(reply).startsWith('LOADING '),
    );
    const findings = failed.map(
      ({ command, node, startedAtMs, reply }) =>
        `${command.join(' ')}, sent to ${node} at ${startedAtMs.toFixed(3)}: ${String(reply)}`,
    );
    return verdict(name, `${this.#history.operations.length} commands`, findings);
  }

  /** Whoever waits for a lane waits for one batch: it has as many rows as the option says, or one command's. */
  #batchesAreBounded(): Verdict {
    const { committed } = this.#sim.database;
    const rowsMax = Math.max(this.#plan.options.batchRowsMax ?? 0, COMMAND_ROWS_MAX);
    const findings = committed
      .filter(({ batch }) => batch.rows.length > rowsMax)
      .map(({ self, batch }) => `batch ${batch.number} of ${self.node}: ${batch.rows.length} rows`);
    return verdict('bounded-batches', `${committed.length} batches`, findings);
  }

  #describe(): void {
    const { seed, nodes, options, pace, faults } = this.#plan;
    const { clients, connections, depth, workMs } = pace;
    const workloads = this.#plan.workloads.map(({ name }) => name);
    this.#say(`seed ${seed}: ${nodes.length} nodes, ${JSON.stringify(options)}`);
    this.#say(
      `${clients} clients x ${connections} connections x ${depth}, ${workMs.toFixed(0)} ms`,
    );
    this.#say(`workloads ${workloads.join(', ')}`);
    for (const { fault, atMs } of faults) this.#say(`plan ${fault.name} at ${atMs.toFixed(0)}`);
  }

  #say(line: string): void {
    this.#log.push(`${this.#sim.time.monotonicMs().toFixed(3).padStart(10)} ${line}`);
  }
}

/** When the plan does not say. */
const LEASE_MS_MAX = 1_500;
const SETTLE_POLL_MS = 50;
/** A row goes so long after its time at the latest: two rounds of the reaper, milliseconds. */
const REAPED_MS_MAX = 11_000;
/** So many keys there are to one that the legacy API does not have. */
const LEGACY_HOLE = 4;
/** Until everything that is under way without any client has ended, milliseconds. */
const QUIET_MS = 500;
/** No command of the workloads writes more. */
const COMMAND_ROWS_MAX = 8;

function textOf({ level, fields, message }: LogLine): string {
  return `${level} ${message} ${JSON.stringify(fields, (_, value: unknown) =>
    value instanceof Error ? value.message : value,
  )}`;
}
