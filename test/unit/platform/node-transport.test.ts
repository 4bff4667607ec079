import { afterEach, describe, expect, it } from 'vitest';
import { createNodeTransport } from '../../../src/platform/node-transport.ts';
import type { Connection, ConnectionHandlers, Listener } from '../../../src/platform/transport.ts';

const transport = createNodeTransport();
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Records what happens to a connection. */
class Recorder implements ConnectionHandlers {
  text = '';
  drains = 0;
  readonly closed: Promise<Error | undefined>;
  #onClosed: (error: Error | undefined) => void = () => undefined;
  #wake: () => void = () => undefined;
  constructor() {
    this.closed = new Promise((resolve) => (this.#onClosed = resolve));
  }
  onData(chunk: Buffer): void {
    this.text += chunk.latin1Slice(0, chunk.length);
    this.#wake();
  }
  onDrain(): void {
    this.drains++;
    this.#wake();
  }
  onClose(error?: Error): void {
    this.#onClosed(error);
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

interface Pair {
  near: Connection;
  far: Connection;
  nearSaw: Recorder;
  farSaw: Recorder;
  listener: Listener;
}

async function pair(farHandlers?: ConnectionHandlers): Promise<Pair> {
  const nearSaw = new Recorder();
  const farSaw = new Recorder();
  let accept: (connection: Connection) => void = () => undefined;
  const accepted = new Promise<Connection>((resolve) => (accept = resolve));
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    connection.handle(farHandlers ?? farSaw);
    accept(connection);
  });
  const near = await transport.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 5000 });
  near.handle(nearSaw);
  const far = await accepted;
  cleanups.push(
    () => listener.close(),
    () => near.destroy(),
    () => far.destroy(),
  );
  return { near, far, nearSaw, farSaw, listener };
}

describe('node transport', () => {
  it('carries strings byte for byte and Buffers in order', async () => {
    const { near, farSaw } = await pair();
    near.write('\x00\xff\r\n');
    near.write(Buffer.from([1, 0xfe]));
    await farSaw.until(() => farSaw.text.length === 6);
    expect(farSaw.text).toBe('\x00\xff\r\n\x01\xfe');
  });

  it('names both ends alike on both sides', async () => {
    const { near, far, listener } = await pair();
    expect(near.remoteAddress).toBe(`127.0.0.1:${listener.port}`);
    expect(far.localAddress).toBe(near.remoteAddress);
    expect(far.remoteAddress).toBe(near.localAddress);
  });

  it('counts what a peer does not read, and tells when it is gone, even when it is little', async () => {
    const { near, far, nearSaw, farSaw } = await pair();
    far.pause();
    const piece = 'x'.repeat(1000);
    let written = 0;
    while (near.bufferedBytes === 0) {
      near.write(piece);
      written += piece.length;
      // Lets the socket take what it can.
      await new Promise(setImmediate);
    }
    expect(nearSaw.drains).toBe(0);
    far.resume();
    await nearSaw.until(() => nearSaw.drains > 0);
    expect(near.bufferedBytes).toBe(0);
    await farSaw.until(() => farSaw.text.length === written);
  });

  it('end sends what is queued; both sides hear of the close once', async () => {
    const { near, nearSaw, farSaw } = await pair();
    near.write('y'.repeat(3_000_000));
    near.end();
    near.write('too late');
    expect(await farSaw.closed).toBeUndefined();
    expect(await nearSaw.closed).toBeUndefined();
    expect(farSaw.text).toHaveLength(3_000_000);
  });

  it('a handler of onEnd may still answer after the peer ended its side', async () => {
    const answering: { far?: Connection } = {};
    let asked = '';
    const handlers: ConnectionHandlers = {
      onData: (chunk) => (asked += chunk.toString('latin1')),
      onClose: () => undefined,
      onEnd: () => {
        answering.far?.write(`answer to ${asked}`);
        answering.far?.end();
      },
    };
    const made = await pair(handlers);
    answering.far = made.far;
    made.near.write('question');
    made.near.end();
    await made.nearSaw.closed;
    expect(made.nearSaw.text).toBe('answer to question');
  });

  it('everything may be called after the close', async () => {
    const { near, nearSaw } = await pair();
    near.destroy();
    await nearSaw.closed;
    near.write('x');
    near.pause();
    near.resume();
    near.setKeepAlive(1000);
    near.end();
    near.destroy();
    expect(near.bufferedBytes).toBe(0);
  });

  it('a taken port is reported by its code', async () => {
    const { listener } = await pair();
    await expect(
      transport.listen({ host: '127.0.0.1', port: listener.port }, () => undefined),
    ).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('a closed listener frees its port and leaves its connections alone', async () => {
    const { near, farSaw, listener } = await pair();
    await listener.close();
    const again = await transport.listen(
      { host: '127.0.0.1', port: listener.port },
      () => undefined,
    );
    near.write('still here');
    await farSaw.until(() => farSaw.text === 'still here');
    await again.close();
    await expect(
      transport.connect({ host: '127.0.0.1', port: listener.port, timeoutMs: 5000 }),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
