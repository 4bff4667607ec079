/**
 * One cluster for all test files of a run that only send commands (conformance, clients): starting
 * three nodes for each file would take longer than the tests. It is started when the first file asks
 * for it and stopped at the end of the run; a run that needs none starts none.
 *
 * This module is vitest's global setup, which runs in another process than the test files; so they
 * ask for the addresses over HTTP, at the URL provided as `sharedClusterUrl`.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startCluster } from './cluster.ts';
import { startPostgres } from './postgres.ts';
import type { RespAddress } from './resp-client.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sharedClusterUrl: string;
  }
}

interface Shared {
  readonly nodes: readonly RespAddress[];
  stop(): Promise<void>;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let shared: Promise<Shared> | undefined;
  const server = createServer((_request, response) => {
    shared ??= start();
    shared.then(
      ({ nodes }) => response.end(JSON.stringify(nodes)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  project.provide(
    'sharedClusterUrl',
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  );
  return async () => {
    server.close();
    server.closeAllConnections();
    // A start that failed was told to the files that asked.
    const started = await shared?.catch(() => undefined);
    await started?.stop();
  };
}

/** The addresses of the shared cluster's nodes, which is started now if it does not run yet. */
export async function sharedClusterNodes(url: string): Promise<RespAddress[]> {
  const response = await fetch(url);
  const body = await response.text();
  if (response.status !== 200) throw new Error(`the cluster did not start: ${body}`);
  return JSON.parse(body) as RespAddress[];
}

async function start(): Promise<Shared> {
  const postgres = await startPostgres();
  try {
    const cluster = await startCluster({ store: await postgres.freshDatabase() });
    return {
      nodes: cluster.nodes.map(({ host, port }) => ({ host, port })),
      async stop() {
        await cluster.stop();
        await postgres.stop();
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}
