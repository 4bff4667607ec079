// Stands in for `ringfence node` where only the processes around it are under test: answers
// /readyz on --http-port and accepts connections on --port. `--zone exit` makes it fail at once.
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';

const flags = new Map();
for (let i = 2; i < process.argv.length; i += 2) flags.set(process.argv[i], process.argv[i + 1]);

process.title = `ringfence node ${flags.get('--node-id')}`;
if (flags.get('--zone') === 'exit') {
  console.error('this node was told to fail');
  process.exit(1);
}
createServer((_request, response) => response.end('ready')).listen(
  Number(flags.get('--http-port')),
  '127.0.0.1',
);
createTcpServer((socket) => socket.end('+PONG\r\n')).listen(
  Number(flags.get('--port')),
  '127.0.0.1',
);
process.on('SIGTERM', () => process.exit(0));
process.once('disconnect', () => process.exit(0));
