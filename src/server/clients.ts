/**
 * All client connections of this node: who is connected, what is to be done at the end of the turn, and
 * the periodic checks (idle time, output limits, rates).
 */
import type { Clock, TimerHandle, Timers } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { Connection } from '../platform/transport.ts';
import type { DirectReads } from './direct-reads.ts';
import type { Router } from './router.ts';
import { Session, type SessionHost } from './session.ts';
import type { ServerSettings } from './settings.ts';
import type { ServerStats } from './stats.ts';

export interface ClientsParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  readonly settings: ServerSettings;
  readonly stats: ServerStats;
  readonly router: Router;
  readonly dispatch: (session: Session, args: string[]) => void;
  /** What answers direct reads; it needs the registry, so it is asked for. */
  direct(host: SessionHost): DirectReads;
}

const TICK_MS = 1000;
const RATE_SAMPLE_MS = 100;

export class ClientRegistry implements SessionHost {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ServerSettings;
  readonly stats: ServerStats;
  readonly router: Router;
  readonly direct: DirectReads;
  pendingRequests = 0;

  readonly #timers: Timers;
  readonly #dispatch: ClientsParts['dispatch'];
  readonly #sessions = new Map<number, Session>();
  #nextId = 1;
  #due: Session[] = [];
  #emptyCallbacks: (() => void)[] = [];
  readonly #ticking: TimerHandle[];

  constructor(parts: ClientsParts) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.settings = parts.settings;
    this.stats = parts.stats;
    this.router = parts.router;
    this.#timers = parts.timers;
    this.#dispatch = parts.dispatch;
    this.direct = parts.direct(this);
    this.#ticking = [
      parts.timers.every(TICK_MS, () => this.#tick()),
      parts.timers.every(RATE_SAMPLE_MS, () => this.stats.sampleRates(this.clock.monotonicMs())),
    ];
  }

  get count(): number {
    return this.#sessions.size;
  }

  sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  session(id: number): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Takes an accepted connection over. */
  add(connection: Connection): Session {
    const session = new Session(this, connection, this.#nextId++);
    this.#sessions.set(session.id, session);
    return session;
  }

  /**
   * Ends all sessions after the replies under way. Resolves when all are closed; those that are not after
   * `graceMs` are cut.
   */
  async drain(graceMs: number): Promise<void> {
    if (this.#sessions.size > 0) {
      const cut = this.#timers.after(graceMs, () => {
        for (const session of this.#sessions.values()) session.kill();
      });
      const empty = new Promise<void>((resolve) => this.#emptyCallbacks.push(resolve));
      for (const session of this.#sessions.values()) session.closeAfterReplies();
      await empty;
      cut.cancel();
    }
    for (const timer of this.#ticking) timer.cancel();
  }

  // -- SessionHost -----------------------------------------------------------------------------------

  dispatch(session: Session, args: string[]): void {
    this.#dispatch(session, args);
  }

  atTurnEnd(session: Session): void {
    if (session.turnEndDue) return;
    session.turnEndDue = true;
    if (this.#due.push(session) === 1) this.#timers.turnEnd(() => this.#runTurnEnd());
  }

  onClosed(session: Session): void {
    this.#sessions.delete(session.id);
    if (this.#sessions.size > 0) return;
    const callbacks = this.#emptyCallbacks;
    this.#emptyCallbacks = [];
    for (const callback of callbacks) callback();
  }

  #runTurnEnd(): void {
    const due = this.#due;
    this.#due = [];
    for (const session of due) {
      session.turnEndDue = false;
      session.onTurnEnd();
    }
  }

  #tick(): void {
    const nowMs = this.clock.monotonicMs();
    for (const session of this.#sessions.values()) session.onTick(nowMs);
  }
}
