/** Ports of this node, and the other nodes as this one knows them. */
import { connect } from 'node:net';
import { ClientConnection } from '../client/connection.ts';
import { isFree } from '../local/ports.ts';
import { messageOf } from '../program.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

const TIMEOUT_MS = 2000;

export interface Ports {
  readonly host: string;
  readonly port: number;
  readonly linkPort: number;
  readonly httpPort: number;
  readonly password: string;
}

/** A running node is asked about its peers; where none runs, the ports must be free for it. */
export async function checkNetwork(ports: Ports): Promise<Finding[]> {
  if (!(await isFree(ports.port))) return checkRunning(ports);
  const findings = [ok('ports', `${ports.port} is free (no node is running here)`)];
  for (const [port, option] of [
    [ports.linkPort, 'link-port'],
    [ports.httpPort, 'http-port'],
  ] as const) {
    findings.push(
      (await isFree(port))
        ? ok('ports', `${port} is free`)
        : fail('ports', `${port} is taken`, `stop what listens there, or set another --${option}`),
    );
  }
  return findings;
}

async function checkRunning({ host, port, password }: Ports): Promise<Finding[]> {
  let connection: ClientConnection;
  try {
    connection = await ClientConnection.open({ host, port });
  } catch (error) {
    const text = `${host}:${port} is taken and does not answer: ${messageOf(error)}`;
    return [fail('ports', text, 'stop what listens there, or set another --port')];
  }
  try {
    if (password !== '') await connection.send(['AUTH', password]);
    const reply = await connection.send(['CLUSTER', 'NODES']);
    if (reply.kind !== 'bulk') {
      const text = `what listens on ${host}:${port} does not answer CLUSTER NODES`;
      return [fail('ports', text, 'if it is no Ringfence node, stop it or set another --port')];
    }
    const peers = parsePeers(reply.bytes.toString('utf8'));
    const found = ok('ports', `a node answers on ${host}:${port} and knows ${peers.length} nodes`);
    return [found, ...(await Promise.all(peers.map(checkPeer)))];
  } catch (error) {
    const text = `${host}:${port} accepts connections and does not answer: ${messageOf(error)}`;
    return [fail('ports', text, 'see its log')];
  } finally {
    connection.close();
  }
}

export interface Peer {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly linkPort: number;
}

/** Lines of CLUSTER NODES: `<id> <host>:<port>@<link port>[,<name>] ...`. */
export function parsePeers(text: string): Peer[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\S+) (\S+):(\d+)@(\d+)/.exec(line);
    if (match === null) return [];
    const [, id = '', host = '', port, linkPort] = match;
    return [{ id, host, port: Number(port), linkPort: Number(linkPort) }];
  });
}

async function checkPeer({ id, host, port, linkPort }: Peer): Promise<Finding> {
  const closed: number[] = [];
  for (const each of [port, linkPort]) if (!(await accepts(host, each))) closed.push(each);
  const about = `node ${id} at ${host}`;
  return closed.length === 0
    ? ok('peers', `${about} accepts connections on ${port} and ${linkPort}`)
    : warn(
        'peers',
        `${about} cannot be reached on ${closed.join(' and ')} from here`,
        'is it running, is announce-host right, does a firewall stand between?',
      );
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: TIMEOUT_MS });
    const over = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => over(true));
    socket.once('timeout', () => over(false));
    socket.once('error', () => over(false));
  });
}
