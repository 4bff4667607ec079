/** Asks the nodes of a running cluster over the Redis protocol, for `ringfence cluster`. */
import type { ClusterStatus, ViewSummary } from './types.ts';
import { type ClientAddress, ClientConnection, type ClientReply } from '../client/connection.ts';
import { messageOf, PlainError } from '../program.ts';

export class Admin {
  readonly #connection: ClientConnection;
  readonly #password: string | undefined;

  private constructor(connection: ClientConnection, password: string | undefined) {
    this.#connection = connection;
    this.#password = password;
  }

  /** Rejects with a PlainError when the node cannot be reached or does not take the password. */
  static async open(address: ClientAddress, password: string | undefined): Promise<Admin> {
    const where = `${address.host}:${address.port}`;
    const connection = await ClientConnection.open(address).catch((error: unknown) => {
      throw new PlainError(`no node can be reached at ${where}: ${messageOf(error)}`);
    });
    const admin = new Admin(connection, password);
    if (password !== undefined) await admin.send('AUTH', password);
    return admin;
  }

  /** The reply as text. Rejects with a PlainError that is the error reply, or says that the node is gone. */
  async send(...words: string[]): Promise<string> {
    const reply = await this.#connection.send(words).catch((error: unknown) => {
      throw new PlainError(messageOf(error));
    });
    if (reply.kind === 'error') throw new PlainError(reply.text);
    return textOf(reply);
  }

  async status(): Promise<ClusterStatus> {
    return parsed(await this.send('CLUSTER', 'STATUS')) as ClusterStatus;
  }

  async views(count: number): Promise<ViewSummary[]> {
    return parsed(await this.send('CLUSTER', 'VIEWS', String(count))) as ViewSummary[];
  }

  /** What every member says that can be reached, this node first. */
  async statuses(): Promise<ClusterStatus[]> {
    const own = await this.status();
    const others = own.nodes.filter(({ name, connected }) => name !== own.node && connected);
    const answers = await Promise.all(others.map((node) => statusAt(node, this.#password)));
    return [own, ...answers.filter((answer) => answer !== undefined)];
  }

  close(): void {
    this.#connection.close();
  }
}

/** Undefined when the node cannot be asked: it may be stopping, or be reachable for other nodes only. */
async function statusAt(
  address: ClientAddress,
  password: string | undefined,
): Promise<ClusterStatus | undefined> {
  let admin: Admin | undefined;
  try {
    admin = await Admin.open(address, password);
    return await admin.status();
  } catch (error) {
    if (error instanceof PlainError) return undefined;
    throw error;
  } finally {
    admin?.close();
  }
}

function textOf(reply: ClientReply): string {
  if (reply.kind === 'bulk') return reply.bytes.toString('utf8');
  return reply.kind === 'status' || reply.kind === 'integer' ? reply.text : '';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PlainError(`this is no node of Ringfence: it answered '${text.slice(0, 100)}'`);
  }
}
