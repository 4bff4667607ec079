/** The whole Redis-protocol server of a node: clients, dispatch and listener, wired together. */
import type { Prepare } from '../cluster/execute.ts';
import type { Command } from '../commands/command.ts';
import type { ClusterPort, ConfigPort, ServerPort } from '../commands/ports.ts';
import type { Logger } from '../platform/logger.ts';
import type { Platform } from '../platform/platform.ts';
import type { Listener } from '../platform/transport.ts';
import { ClientRegistry } from './clients.ts';
import { DirectReads } from './direct-reads.ts';
import { Dispatcher } from './dispatch.ts';
import type { InfoSources } from './info.ts';
import { listenForClients } from './listener.ts';
import type { Router } from './router.ts';
import { createServerPort } from './server-port.ts';
import type { ServerSettings } from './settings.ts';
import { ServerStats } from './stats.ts';

export interface ServerParts {
  readonly platform: Platform;
  readonly log: Logger;
  readonly settings: ServerSettings;
  readonly commands: Iterable<Command>;
  readonly prepare: Prepare;
  readonly router: Router;
  readonly config: ConfigPort;
  readonly cluster: ClusterPort;
  readonly info: InfoSources;
  resetCounters(): void;
}

export interface Server {
  readonly port: ServerPort;
  readonly clients: ClientRegistry;
  readonly stats: ServerStats;
  /** Starts to accept clients. Rejects with the system's error when the port cannot be bound. */
  listen(at: { host: string; port: number }): Promise<Listener>;
  /** Stops accepting, answers what is under way, closes all clients; cuts the rest after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function createServer(parts: ServerParts): Server {
  const { platform, log, settings } = parts;
  const { clock, timers, transport } = platform;
  const stats = new ServerStats(clock);
  // An iterable may be one that can be gone through once.
  const commands = [...parts.commands];
  const clients = new ClientRegistry({
    clock,
    timers,
    log,
    settings,
    stats,
    router: parts.router,
    dispatch: (session, args) => dispatcher.dispatch(session, args),
    direct: (host) => {
      const { router } = parts;
      return new DirectReads({ commands, router, settings, stats, host, clock });
    },
  });
  const port = createServerPort({ ...parts, clients });
  const dispatcher = new Dispatcher({
    commands,
    prepare: parts.prepare,
    server: port,
    settings,
    stats,
    host: clients,
    clock,
    log,
  });
  const listeners: Listener[] = [];
  return {
    port,
    clients,
    stats,
    async listen(at) {
      const listener = await listenForClients({ transport, timers, clients }, at);
      listeners.push(listener);
      return listener;
    },
    async close(graceMs) {
      await Promise.all(listeners.map((listener) => listener.close()));
      await clients.drain(graceMs);
    },
  };
}
