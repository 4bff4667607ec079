/**
 * What Node itself can do: a server on node:net that splits the stream into commands and answers each from a
 * constant. No keys, no sessions, no cluster; whatever is faster than this is not written in JavaScript.
 */
import { createServer } from 'node:net';
import { VALUE } from '../load.ts';
import { splitCommands } from './split-commands.ts';

const FOUND = `$${VALUE.length}\r\n${VALUE}\r\n`;
const OK = '+OK\r\n';
/** redis-benchmark asks for settings first, and goes on without them. */
const EMPTY = '*0\r\n';

function replyTo(name: string): string {
  if (name === 'GET') return FOUND;
  return name === 'SET' ? OK : EMPTY;
}

const port = Number(process.argv[2]);
const server = createServer({ noDelay: true }, (socket) => {
  let input = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    input += chunk;
    let replies = '';
    const used = splitCommands(input, (name) => (replies += replyTo(name)));
    input = used === input.length ? '' : input.slice(used);
    if (replies !== '') socket.write(replies, 'latin1');
  });
  // A client that resets its connection at the end of a round is no failure.
  socket.on('error', () => socket.destroy());
});
process.on('disconnect', () => process.exit(0));
server.listen(port, '127.0.0.1', () => process.send?.('ready'));
