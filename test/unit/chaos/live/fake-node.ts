/** A node that is nothing but its two ports, and says on them what a test wants it to say. */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { NodeAddress } from '../../../../chaos/target.ts';
import { RequestDecoder } from '../../../../src/resp/decoder.ts';

export class FakeNode {
  /** The life that answers; null: `/readyz` says 503. */
  life: string | null;
  /** The reply to a client's command, in wire form. May change `life` first. */
  answer: (command: readonly string[]) => string = () => '$-1\r\n';
  readonly address: NodeAddress;
  readonly #servers: readonly Server[];
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(
    address: NodeAddress,
    servers: readonly Server[],
    sockets: ReadonlySet<Socket>,
  ) {
    this.address = address;
    this.life = `${address.name}, first life`;
    this.#servers = servers;
    this.#sockets = sockets;
  }

  static async start(name: string): Promise<FakeNode> {
    const sockets = new Set<Socket>();
    const redis = createServer((socket) => {
      sockets.add(socket);
      serve(socket, (command) => node.answer(command));
    });
    const http = createHttpServer((_request, response) => {
      response.writeHead(node.life === null ? 503 : 200, { connection: 'close' });
      response.end(JSON.stringify({ details: { incarnation: node.life } }));
    });
    const [port, httpPort] = await Promise.all([listen(redis), listen(http)]);
    const node = new FakeNode({ name, host: '127.0.0.1', port, httpPort }, [redis, http], sockets);
    return node;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      this.#servers.map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }
}

/** What ioredis sends before it calls a connection ready. */
const GREETINGS: Readonly<Record<string, string>> = {
  HELLO: '%1\r\n$5\r\nproto\r\n:3\r\n',
  INFO: '+loading:0\r\n',
  CLIENT: '+OK\r\n',
};

function serve(socket: Socket, answer: (command: readonly string[]) => string): void {
  const decoder = new RequestDecoder({ protoMaxBulkLen: 1 << 20, multibulkMax: 1 << 10 });
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    decoder.feed(chunk);
    for (let command = decoder.next(); command !== null; command = decoder.next()) {
      socket.write(GREETINGS[command[0]!.toUpperCase()] ?? answer(command));
    }
    decoder.retain();
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
