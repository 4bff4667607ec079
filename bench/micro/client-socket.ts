/**
 * Ways to read and write client sockets, each as a bare responder (every command is answered with a
 * null, nothing is decoded) against redis-server, by redis-benchmark. ADR 0003 decides by its figures.
 * Run: `npx tsx bench/micro/client-socket.ts [pipeline] [requests]`; needs Debian's redis-server.
 *
 * Processor time an operation of the responder counts more than the rate: client and server share
 * this machine's cores. Peers run in turn, twice.
 */
import { execFile, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { promisify } from 'node:util';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { RequestDecoder, MULTIBULK_MAX } from '../../src/resp/decoder.ts';

const REDIS_PORT = 56411;
const PORT = 56410;
const NULL_REPLY = '$-1\r\n';
const STAR = 42;
/** Clock ticks of /proc/PID/stat, in microseconds. */
const TICK_US = 10_000;

const answers = (chunk: Uint8Array, length: number): string => {
  let commands = 0;
  for (let at = 0; at < length; at++) if (chunk[at] === STAR) commands++;
  return NULL_REPLY.repeat(commands);
};

/** Writes of one turn of the event loop go out at its end. */
function turnWriter(): (socket: Socket, text: string) => void {
  const due = new Map<Socket, string>();
  const flush = (): void => {
    for (const [socket, text] of due) socket.write(text, 'latin1');
    due.clear();
  };
  return (socket, text) => {
    if (due.size === 0) setImmediate(flush);
    due.set(socket, (due.get(socket) ?? '') + text);
  };
}

/** A socket that reads into one shared buffer; takes the handle over, which Node does not document. */
function withSharedBuffer(
  accepted: Socket,
  shared: Buffer,
  onData: (socket: Socket, n: number) => void,
): void {
  const { _handle: handle } = accepted as unknown as { _handle: unknown };
  const options = {
    handle,
    onread: {
      buffer: shared,
      callback(length: number) {
        onData(socket, length);
        return true;
      },
    },
  };
  const socket: Socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  socket.on('error', () => socket.destroy());
  socket.resume();
}

const VARIANTS: Record<string, () => void> = {
  plain: () =>
    void createServer((socket) => {
      socket.on('data', (chunk) => socket.write(answers(chunk, chunk.length), 'latin1'));
      socket.on('error', () => socket.destroy());
    }).listen(PORT, '127.0.0.1'),
  'no delay': () =>
    void createServer({ noDelay: true }, (socket) => {
      socket.on('data', (chunk) => socket.write(answers(chunk, chunk.length), 'latin1'));
      socket.on('error', () => socket.destroy());
    }).listen(PORT, '127.0.0.1'),
  'write at turn end': () => {
    const write = turnWriter();
    createServer({ noDelay: true }, (socket) => {
      socket.on('data', (chunk) => write(socket, answers(chunk, chunk.length)));
      socket.on('error', () => socket.destroy());
    }).listen(PORT, '127.0.0.1');
  },
  'shared read buffer': () => {
    const shared = Buffer.allocUnsafeSlow(64 * 1024);
    createServer({ noDelay: true, pauseOnConnect: true }, (accepted) =>
      withSharedBuffer(accepted, shared, (socket, length) =>
        socket.write(answers(shared, length), 'latin1'),
      ),
    ).listen(PORT, '127.0.0.1');
  },
  'transport and decoder': () => {
    const { transport } = createNodePlatform();
    void transport.listen({ host: '127.0.0.1', port: PORT }, (connection) => {
      const decoder = new RequestDecoder({ protoMaxBulkLen: 2 ** 29, multibulkMax: MULTIBULK_MAX });
      connection.handle({
        onData(chunk) {
          decoder.feed(chunk);
          let out = '';
          while (decoder.next() !== null) out += NULL_REPLY;
          connection.write(out);
        },
        onClose: () => undefined,
      });
    });
  },
};

/** Processor time of a process so far, microseconds. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

async function measure(
  port: number,
  pid: number,
  pipeline: number,
  requests: number,
): Promise<string> {
  const run = (count: number): Promise<{ stdout: string }> =>
    promisify(execFile)('redis-benchmark', [
      '-p',
      String(port),
      '-t',
      'get',
      '-n',
      String(count),
      '-c',
      '50',
      '-P',
      String(pipeline),
      '-r',
      '100000',
      '--csv',
    ]);
  await run(requests / 10);
  const before = cpuUs(pid);
  const { stdout } = await run(requests);
  const rate = Number(stdout.trim().split('\n').at(-1)?.split(',')[1]?.replaceAll('"', ''));
  return `${Math.round(rate)} requests/s, ${((cpuUs(pid) - before) / requests).toFixed(2)} us of processor a request`;
}

/** Waits until something answers on the port. */
async function listening(port: number): Promise<void> {
  const { transport, timers } = createNodePlatform();
  for (;;) {
    try {
      const connection = await transport.connect({ host: '127.0.0.1', port, timeoutMs: 1000 });
      connection.handle({ onData: () => undefined, onClose: () => undefined });
      connection.destroy();
      return;
    } catch {
      // Not there yet: that is what is being waited for.
      await new Promise<void>((resolve) => timers.after(20, resolve));
    }
  }
}

async function main(): Promise<void> {
  const pipeline = Number(process.argv[2] ?? 1);
  const requests = Number(process.argv[3] ?? 200_000);
  const redis = spawn('redis-server', ['--port', String(REDIS_PORT), '--save', ''], {
    stdio: 'ignore',
  });
  await listening(REDIS_PORT);
  try {
    for (let round = 1; round <= 2; round++) {
      console.log(`round ${round}, -c 50 -P ${pipeline}`);
      console.log(
        `  ${'redis-server'.padEnd(24)} ${await measure(REDIS_PORT, redis.pid!, pipeline, requests)}`,
      );
      for (const name of Object.keys(VARIANTS)) {
        const child = fork(process.argv[1]!, ['serve', name]);
        await listening(PORT);
        console.log(`  ${name.padEnd(24)} ${await measure(PORT, child.pid!, pipeline, requests)}`);
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill();
        await gone;
      }
    }
  } finally {
    redis.kill();
  }
}

const [, , mode, variant] = process.argv;
if (mode === 'serve') VARIANTS[variant ?? '']?.();
else await main();
