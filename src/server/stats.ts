/**
 * Counters of the server. Commands cost two additions and, one in SAMPLE_EVERY, two reads of the clock:
 * timing each would cost as much as running a small one.
 */
import type { Clock } from '../platform/clock.ts';

/** One command in so many is timed, and counted as that many. A power of two. */
export const SAMPLE_EVERY = 16;

/** What INFO commandstats tells about one command or subcommand. */
export interface CommandStat {
  calls: number;
  /** Microseconds of this node's event loop, estimated from samples; waiting for others not included. */
  usec: number;
  /** Replied with an error after it was accepted. */
  failedCalls: number;
  /** Refused before it ran: arity, authentication, limits. */
  rejectedCalls: number;
}

/** Windows of the operations-per-second gauge. */
const RATE_SAMPLES = 16;
/** Distinct error codes that are told apart; the rest are counted together. */
const ERROR_CODES_MAX = 128;
const OTHER_ERRORS = 'OTHER';

export class ServerStats {
  connectionsReceived = 0;
  connectionsRejected = 0;
  commandsProcessed = 0;
  netInputBytes = 0;
  netOutputBytes = 0;
  errorReplies = 0;
  /** Clients closed for too much unfinished input, and for too much unread output. */
  queryBufferDisconnects = 0;
  outputBufferDisconnects = 0;
  idleDisconnects = 0;
  protocolErrors = 0;
  readonly #commands = new Map<string, CommandStat>();
  readonly #errors = new Map<string, number>();
  readonly #rate: RateGauge;
  readonly #inputRate: RateGauge;
  readonly #outputRate: RateGauge;

  constructor(clock: Clock) {
    const nowMs = clock.monotonicMs();
    this.#rate = new RateGauge(nowMs);
    this.#inputRate = new RateGauge(nowMs);
    this.#outputRate = new RateGauge(nowMs);
  }

  /** The counters of a command (lower case, `config|get`); asked for once, kept by the caller. */
  command(name: string): CommandStat {
    let stat = this.#commands.get(name);
    if (stat === undefined) {
      stat = { calls: 0, usec: 0, failedCalls: 0, rejectedCalls: 0 };
      this.#commands.set(name, stat);
    }
    return stat;
  }

  /** Counts an encoded error reply by its first word. */
  countError(reply: string): void {
    this.errorReplies++;
    const end = reply.indexOf(' ');
    let code = reply.slice(1, end < 0 ? reply.length - 2 : end);
    if (!this.#errors.has(code) && this.#errors.size >= ERROR_CODES_MAX) code = OTHER_ERRORS;
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  /** Commands and errors that were counted, names in order of first use. */
  commands(): [name: string, stat: Readonly<CommandStat>][] {
    return [...this.#commands].filter(([, stat]) => stat.calls > 0 || stat.rejectedCalls > 0);
  }

  errors(): [code: string, count: number][] {
    return [...this.#errors].filter(([, count]) => count > 0);
  }

  /** Takes a sample for the rates; called every 100 ms or so. */
  sampleRates(nowMs: number): void {
    this.#rate.sample(nowMs, this.commandsProcessed);
    this.#inputRate.sample(nowMs, this.netInputBytes);
    this.#outputRate.sample(nowMs, this.netOutputBytes);
  }

  get opsPerSecond(): number {
    return Math.round(this.#rate.perSecond);
  }
  get inputKbPerSecond(): number {
    return this.#inputRate.perSecond / 1024;
  }
  get outputKbPerSecond(): number {
    return this.#outputRate.perSecond / 1024;
  }

  /** CONFIG RESETSTAT. The records stay the same objects, because dispatch keeps them. */
  reset(): void {
    this.connectionsReceived = this.connectionsRejected = this.commandsProcessed = 0;
    this.netInputBytes = this.netOutputBytes = this.errorReplies = this.protocolErrors = 0;
    this.queryBufferDisconnects = this.outputBufferDisconnects = this.idleDisconnects = 0;
    for (const stat of this.#commands.values()) {
      stat.calls = stat.usec = stat.failedCalls = stat.rejectedCalls = 0;
    }
    this.#errors.clear();
  }
}

/** Growth per second of a counter, averaged over the last RATE_SAMPLES samples. */
class RateGauge {
  #lastMs: number;
  #lastCount = 0;
  #next = 0;
  readonly #rates = new Float64Array(RATE_SAMPLES);

  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  sample(nowMs: number, count: number): void {
    const elapsedMs = nowMs - this.#lastMs;
    if (elapsedMs <= 0) return;
    // A counter below its last sample was reset: what it has now came since.
    const grown = count >= this.#lastCount ? count - this.#lastCount : count;
    this.#rates[this.#next] = (grown * 1000) / elapsedMs;
    this.#next = (this.#next + 1) % RATE_SAMPLES;
    this.#lastMs = nowMs;
    this.#lastCount = count;
  }

  get perSecond(): number {
    return this.#rates.reduce((sum, rate) => sum + rate, 0) / RATE_SAMPLES;
  }
}
