/**
 * The clients of a schedule: each has a machine of its own and works on several connections to different
 * nodes, with several commands under way on each.
 */
import type { History } from '../history.ts';
import { recorded, type Send } from '../recording.ts';
import { beginMixture } from '../workloads/mixture.ts';
import type { Workload } from '../workloads/workload.ts';
import { CLIENT_PORT, type Sim } from './cluster.ts';
import { Host } from './machine.ts';
import type { Answered } from './pace.ts';
import { SeededRandom } from './random.ts';
import { RespClient } from './resp-client.ts';

export interface ClientsOptions {
  readonly sim: Sim;
  readonly random: SeededRandom;
  readonly history: History;
  readonly workloads: readonly Workload[];
  readonly clients: number;
  /** Connections of a client. */
  readonly connections: number;
  /** Commands under way on a connection. */
  readonly depth: number;
  /** Longest pause between two commands, milliseconds. */
  readonly pauseMsMax: number;
  /** Longest time between two commands that leave on one connection, milliseconds. */
  readonly gapMsMax: number;
  readonly answerTimeoutMs: number;
  readonly onSend: (command: readonly string[]) => void;
  readonly onAnswer: (answered: Answered) => void;
}

/** A schedule has a few hundred steps: each workload has its turn in the middle of some fault. */
const FOCUS_STEPS = 60;
/** After anything but an answer: keeps a cluster in trouble from being hammered, milliseconds. */
const TROUBLE_PAUSE_MS = 40;

export class Clients {
  readonly #options: ClientsOptions;
  readonly #running: Promise<void>[] = [];
  #stopping = false;
  /** Commands without an answer. */
  underWay = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
    const { history } = options;
    const begin = beginMixture(options.workloads, 'sim', FOCUS_STEPS);
    const nowMs = (): number => options.sim.time.monotonicMs();
    for (let i = 0; i < options.clients; i++) {
      const host = new Host(`client-${i + 1}`, options.sim.time);
      for (let c = 0; c < options.connections; c++) {
        const random = new SeededRandom(options.random.below(2 ** 32));
        const line = new Line(options, host, random, this);
        for (let d = 0; d < options.depth; d++) {
          const client = `${host.name}.${c + 1}.${d + 1}`;
          const sendFor = (workload: string): Send =>
            recorded(line.send, { history, workload, client, nowMs });
          this.#running.push(this.#work(begin({ client, random, sendFor }), random));
        }
      }
    }
  }

  /** Begins no further command; resolves when all have been answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  async #work(step: () => Promise<void>, random: SeededRandom): Promise<void> {
    const { sim, pauseMsMax } = this.#options;
    while (!this.#stopping) {
      await sim.sleep(random.float() * pauseMsMax);
      if (!this.#stopping) await step();
    }
  }
}

/** A connection that is made anew, to some node, when it is lost. */
class Line {
  readonly #options: ClientsOptions;
  readonly #host: Host;
  readonly #random: SeededRandom;
  readonly #clients: Clients;
  #connection: Promise<RespClient> | null = null;
  #node = '';
  /** Resolves when the command before has left. */
  #left = Promise.resolve();

  constructor(options: ClientsOptions, host: Host, random: SeededRandom, clients: Clients) {
    this.#options = options;
    this.#host = host;
    this.#random = random;
    this.#clients = clients;
  }

  readonly send: Send = async (command) => {
    const { sim, gapMsMax, onSend, onAnswer } = this.#options;
    const connecting = (this.#connection ??= this.#connect());
    let connection: RespClient;
    try {
      connection = await connecting;
    } catch (error) {
      await this.#lose(connecting);
      return { outcome: 'refused', reply: `not sent: ${String(error)}`, node: this.#node };
    }
    if (gapMsMax > 0) await this.#gap();
    const sentMs = sim.time.monotonicMs();
    this.#clients.underWay++;
    onSend(command);
    const answer = await connection.send(command);
    this.#clients.underWay--;
    const tookMs = sim.time.monotonicMs() - sentMs;
    onAnswer({ node: answer.node, command, tookMs, reply: answer.reply });
    if (connection.closed) await this.#lose(connecting);
    else if (answer.outcome !== 'ok') await sim.sleep(TROUBLE_PAUSE_MS);
    return answer;
  };

  /** What a client writes in one go may leave its machine piece by piece. */
  #gap(): Promise<void> {
    const { sim, gapMsMax } = this.#options;
    this.#left = this.#left.then(() => sim.sleep(this.#random.float() * gapMsMax));
    return this.#left;
  }

  #connect(): Promise<RespClient> {
    const { sim, answerTimeoutMs } = this.#options;
    const names = [...sim.nodes.keys()];
    this.#node = names[this.#random.below(names.length)]!;
    const { network } = sim;
    return RespClient.connect({
      network,
      host: this.#host,
      node: this.#node,
      port: CLIENT_PORT,
      answerTimeoutMs,
    });
  }

  async #lose(connection: Promise<RespClient>): Promise<void> {
    if (this.#connection === connection) this.#connection = null;
    await this.#options.sim.sleep(TROUBLE_PAUSE_MS);
  }
}
