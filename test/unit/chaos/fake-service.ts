/**
 * A service that does what the checkers expect, on one thread of virtual time, with delays, refusals and
 * unknown outcomes; or one that is wrong in one way, which its checker must find.
 */
import {
  type Keyspace,
  STRING_COMMANDS,
} from '../../../chaos/checkers/linearizability/string-commands.ts';
import { type EndState, History, type ReplyValue } from '../../../chaos/history.ts';
import { type Answer, recorded, type Send } from '../../../chaos/recording.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { beginMixture } from '../../../chaos/workloads/mixture.ts';
import type { Workload } from '../../../chaos/workloads/workload.ts';

export type Flaw =
  | 'none'
  | 'loses-a-write'
  | 'reads-are-stale'
  | 'does-what-it-refused'
  | 'does-it-twice'
  | 'half-an-mset'
  | 'forgets-in-the-table'
  | 'overtakes'
  | 'wrong-error';

/** Odds of anything but an answer. */
const REFUSED = 0.02;
const UNKNOWN = 0.02;
const FLAWED = 0.01;
/** Of the few MSETs. */
const HALVED = 0.2;

export class FakeService {
  readonly #random: SeededRandom;
  readonly #flaw: Flaw;
  readonly #data = new Map<string, string>();
  readonly #before = new Map<string, string | null>();
  readonly #events: { atMs: number; run: () => void }[] = [];
  nowMs = 0;

  constructor(seed: number, flaw: Flaw) {
    this.#random = new SeededRandom(seed);
    this.#flaw = flaw;
  }

  /** Everything that these clients do until each has made so many steps. */
  async run(workloads: readonly Workload[], clients: number, steps: number): Promise<History> {
    const history = new History({ title: 'fake', settings: {} });
    const begin = beginMixture(workloads, 'run');
    let running = clients;
    for (let i = 0; i < clients; i++) {
      const client = `c${i}`;
      const nowMs = (): number => this.nowMs;
      const send = this.#connect();
      const sendFor = (workload: string): Send =>
        recorded(send, { history, workload, client, nowMs });
      const step = begin({ client, random: new SeededRandom(i), sendFor });
      const work = async (): Promise<void> => {
        for (let done = 0; done < steps; done++) await step();
        running--;
      };
      void work();
    }
    while (running > 0) {
      await this.#nextEvent();
    }
    // What was given up may still happen.
    while (this.#events.length > 0) await this.#nextEvent();
    history.addEnd(this.#end(history));
    return history;
  }

  async #nextEvent(): Promise<void> {
    const next = this.#events.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    this.#events.splice(this.#events.indexOf(next), 1);
    this.nowMs = next.atMs;
    next.run();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** A connection: its commands take effect in their order, and are answered in it. */
  #connect(): Send {
    let doneAtMs = 0;
    let answeredAtMs = 0;
    const inOrder = (beforeMs: number): number =>
      Math.max(this.nowMs + this.#delay(), this.#flaw === 'overtakes' ? 0 : beforeMs);
    return (command) => {
      doneAtMs = inOrder(doneAtMs);
      answeredAtMs = Math.max(doneAtMs + this.#delay(), answeredAtMs);
      return this.#send(command, doneAtMs, answeredAtMs);
    };
  }

  #send(command: readonly string[], doneAtMs: number, answeredAtMs: number): Promise<Answer> {
    return new Promise((resolve) => {
      const fate = this.#random.float();
      const answer = (part: Omit<Answer, 'node'>): void => {
        this.#at(answeredAtMs, () => resolve({ ...part, node: 'node-1' }));
      };
      if (fate < REFUSED) {
        const wrong = this.#flaw === 'wrong-error';
        if (this.#flaw === 'does-what-it-refused') this.#execute(command);
        answer({ outcome: 'refused', reply: wrong ? 'ERR oops' : 'NOTDONE no time' });
      } else if (fate < REFUSED + UNKNOWN) {
        if (this.#random.float() < 0.5)
          this.#at(doneAtMs + 100 * this.#delay(), () => this.#execute(command));
        answer({ outcome: 'unknown', reply: 'UNKNOWN lost' });
      } else {
        this.#at(doneAtMs, () => {
          const reply = this.#execute(command);
          if (reply === undefined) answer({ outcome: 'refused', reply: 'ERR no such key' });
          else answer({ outcome: 'ok', reply });
        });
      }
    });
  }

  #at(atMs: number, run: () => void): void {
    this.#events.push({ atMs, run });
  }

  #delay(): number {
    return 0.1 + 5 * this.#random.float() ** 2;
  }

  #execute([name, ...args]: readonly string[]): ReplyValue | undefined {
    const flawed = this.#random.float() < FLAWED;
    const { run } = STRING_COMMANDS[name!]!;
    if (flawed && this.#flaw === 'reads-are-stale' && name === 'GET') {
      return this.#before.get(args[0]!) ?? null;
    }
    if (this.#flaw === 'half-an-mset' && name === 'MSET' && this.#random.float() < HALVED) {
      args.length = 2;
    }
    if (flawed && this.#flaw === 'loses-a-write') {
      return run({ get: (key) => this.#data.get(key) ?? null, set: () => undefined }, args);
    }
    if (flawed && this.#flaw === 'does-it-twice') run(this.#keyspace, args);
    return run(this.#keyspace, args);
  }

  readonly #keyspace: Keyspace = {
    get: (key) => this.#data.get(key) ?? null,
    set: (key, value) => {
      this.#before.set(key, this.#data.get(key) ?? null);
      if (value === null) this.#data.delete(key);
      else this.#data.set(key, value);
    },
  };

  #end({ operations }: History): EndState {
    const keys = new Set(operations.flatMap(({ command }) => command.slice(1)));
    const values = new Map([...keys].map((key) => [key, this.#data.get(key) ?? null] as const));
    const table = new Map(values);
    if (this.#flaw === 'forgets-in-the-table') {
      for (const [key, value] of values) {
        if (value !== null && this.#random.float() < FLAWED) table.set(key, null);
      }
    }
    const answers = new Map([['node-1', values]]);
    const times = { startedAtMs: this.nowMs + 1, endedAtMs: this.nowMs + 2 };
    return { when: 'at the end', ...times, answers, memory: new Map(), table };
  }
}
