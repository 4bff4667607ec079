/** A real cluster that can be broken: processes on this machine, or containers. */

export interface NodeAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

export interface Target {
  readonly name: string;
  readonly nodes: readonly NodeAddress[];
  /** Brings everything up from nothing; resolves when all nodes are ready. */
  up(): Promise<void>;
  /** Takes everything down and removes its data. Safe after a failed `up`. */
  down(): Promise<void>;
  /** SIGKILL of one node. */
  killNode(index: number): Promise<void>;
  /** Starts a killed node again; returns before it is ready. */
  startNode(index: number): Promise<void>;
  /** SIGKILL of all nodes and of PostgreSQL. */
  killEverything(): Promise<void>;
  /** Starts all that `killEverything` ended; returns before the nodes are ready. */
  startEverything(): Promise<void>;
  /** Runs a query with two text columns, as any outsider with psql would. */
  queryPairs(sql: string): Promise<Map<string, string>>;
}

const READY_WITHIN_MS = 60_000;

/** Resolves when every node's /readyz answers 200; rejects after a minute, with what the last said. */
export async function untilReady(target: Target): Promise<void> {
  await Promise.all(
    target.nodes.map(async (node) => {
      const deadline = Date.now() + READY_WITHIN_MS;
      for (;;) {
        const answer = await readyAnswer(node);
        if (answer === undefined) return;
        if (Date.now() > deadline) throw new Error(`${node.name} is not ready: ${answer}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }),
  );
}

async function readyAnswer({ host, httpPort }: NodeAddress): Promise<string | undefined> {
  try {
    const response = await fetch(`http://${host}:${httpPort}/readyz`, {
      signal: AbortSignal.timeout(2000),
    });
    const body = await response.text();
    return response.status === 200 ? undefined : `${response.status} ${body}`;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}
