/** Accepts clients up to `maxclients`, and tells the others why not. */
import type { Timers } from '../platform/clock.ts';
import type { Connection, Listener, Transport } from '../platform/transport.ts';
import type { ClientRegistry } from './clients.ts';

export interface ListenerParts {
  readonly transport: Transport;
  readonly timers: Timers;
  readonly clients: ClientRegistry;
}

const TOO_MANY_CLIENTS = '-ERR max number of clients reached\r\n';
/** How long a refused client may take to read why, milliseconds. */
const REFUSAL_LINGER_MS = 1000;
/** Refused connections that may linger at once; more are cut without a word. */
const REFUSALS_MAX = 256;

/** Rejects with the system's error (`EADDRINUSE`, ...) when the port cannot be bound. */
export function listenForClients(
  parts: ListenerParts,
  at: { host: string; port: number },
): Promise<Listener> {
  let refusals = 0;

  function refuse(connection: Connection): void {
    parts.clients.stats.connectionsRejected++;
    if (refusals >= REFUSALS_MAX) {
      connection.handle({ onData: ignore, onClose: ignore });
      connection.destroy();
      return;
    }
    refusals++;
    const cut = parts.timers.after(REFUSAL_LINGER_MS, () => connection.destroy());
    connection.handle({
      onData: ignore,
      onClose() {
        refusals--;
        cut.cancel();
      },
    });
    connection.write(TOO_MANY_CLIENTS);
    connection.end();
  }

  return parts.transport.listen(at, (connection) => {
    const { clients } = parts;
    if (clients.count >= clients.settings.maxclients) {
      refuse(connection);
      return;
    }
    clients.stats.connectionsReceived++;
    clients.add(connection);
  });
}

/** A refused client's input and end are nobody's business. */
function ignore(): void {}
