import type { ChaosClient } from '../client.ts';
import type { History } from '../history.ts';

/** What one client does, over and over, until it is told to stop. */
export interface Workload {
  readonly name: string;
  /** Does one step: sends a command and records it. `run` names the scenario, `client` this client. */
  step(context: {
    run: string;
    client: string;
    connection: ChaosClient;
    history: History;
    step: number;
  }): Promise<void>;
}
