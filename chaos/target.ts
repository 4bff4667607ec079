/**
 * A real cluster that can be broken: processes on this machine, containers, or hosts in network
 * namespaces. Faults speak to this interface alone, so each has one name and one meaning everywhere.
 */
import type { Disturbance } from './live/network.ts';

export interface NodeAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

/** A node's name, or one of the other two parts. */
export type Host = string;
export const POSTGRES: Host = 'postgres';
export const LEGACY: Host = 'legacy';

/** Undoes one disturbance; others stay. */
export type Mend = () => Promise<void>;

export interface Network {
  /** Why this target cannot do that; undefined: it can. */
  whyNot(disturbance: Disturbance): string | undefined;
  disturb(disturbance: Disturbance): Promise<Mend>;
}

/** The volume of PostgreSQL's data. */
export interface Disk {
  whyNot(): string | undefined;
  /** Fills it to the last byte (ENOSPC for everybody else). */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** The wall clock of one node. Monotonic time goes on as before, as it does on a real machine. */
export interface Clocks {
  whyNot(): string | undefined;
  /** From now on the node's wall clock is off by this much, compared with the machine's. */
  set(node: Host, offsetMs: number): Promise<void>;
}

export interface Target {
  readonly name: string;
  readonly nodes: readonly NodeAddress[];
  /** A node that is not started with the others, where there is one. */
  readonly spare: NodeAddress | undefined;
  readonly network: Network;
  readonly disk: Disk;
  readonly clocks: Clocks;
  /** Brings everything up from nothing; returns before the nodes are ready. */
  up(): Promise<void>;
  /** Takes everything down and removes its data. Safe after a failed `up`, and while things are broken. */
  down(): Promise<void>;
  /** SIGKILL, of all of them at once. Resolves when they are gone. */
  kill(...hosts: Host[]): Promise<void>;
  /** An orderly stop. Resolves when it is gone. */
  stop(host: Host): Promise<void>;
  /** Starts what is down, PostgreSQL first; returns before nodes are ready. Leaves alone what runs. */
  start(...hosts: Host[]): Promise<void>;
  /** SIGSTOP: it stands still, and its kernel still accepts connections. */
  pause(host: Host): Promise<void>;
  resume(host: Host): Promise<void>;
  /** Nodes that ended though nothing was done to them: each is a violation. */
  deaths(): Promise<string[]>;
  /** Faults of the sample legacy API, as a query of its `/legacy/faults`; empty: none. */
  legacyFaults(query: string): Promise<void>;
  /** Rows of texts (NULL as the empty text), as any outsider with psql would see them. */
  query(sql: string): Promise<string[][]>;
  /** What the processes last wrote, for a report of a failure. */
  logs(): Promise<string>;
}

const READY_WITHIN_MS = 60_000;
const POLL_MS = 100;
const ANSWER_WITHIN_MS = 2000;

/** What a node said when it was asked whether it is ready. `life` names one life of it: its incarnation. */
export type Readiness =
  | { readonly ready: true; readonly life: string }
  | { readonly ready: false; readonly reason: string };

/** By name of the node: the life that said it is ready. */
export type Lives = ReadonlyMap<Host, string>;

/**
 * Resolves when, asked at the same time, every node answers that it is ready; rejects after a minute, with what
 * the others said. One after the other would not do: who is ready first may have lost its place when the last one is.
 */
export async function untilReady(nodes: readonly NodeAddress[]): Promise<Lives> {
  const deadline = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const answers = await Promise.all(nodes.map(readinessOf));
    const lives = new Map<Host, string>();
    const reasons: string[] = [];
    answers.forEach((answer, i) => {
      const { name } = nodes[i]!;
      if (answer.ready) lives.set(name, answer.life);
      else reasons.push(`${name} is not ready: ${answer.reason}`);
    });
    if (reasons.length === 0) return lives;
    if (performance.now() > deadline) throw new Error(reasons.join('; '));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Never rejects. */
export async function readinessOf({ host, httpPort }: NodeAddress): Promise<Readiness> {
  try {
    const response = await fetch(`http://${host}:${httpPort}/readyz`, {
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const body = await response.text();
    if (response.status !== 200) return { ready: false, reason: `${response.status} ${body}` };
    const { details } = JSON.parse(body) as { details: { incarnation: string } };
    return { ready: true, life: details.incarnation };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { ready: false, reason: cause instanceof Error ? cause.message : String(cause) };
  }
}
