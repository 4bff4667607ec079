/** Ports of a local cluster: are they free, and where is there a free block of them. */
import { createServer } from 'node:net';

const HOST = '127.0.0.1';

/** True when this machine lets us listen on the port. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The first port at or above `from` that begins a block of `count` free ones below 65536. */
export async function freeBlock(from: number, count: number): Promise<number | undefined> {
  let start = from;
  for (let port = from; port < 65_536; port++) {
    if (!(await isFree(port))) start = port + 1;
    else if (port - start + 1 === count) return start;
  }
  return undefined;
}
