/** A client of a simulated node, right above its router: no sockets, no sessions. */
import type { Sim, SimNode } from './cluster.ts';

/** One client connection of a node: commands in order, replies in order. */
export class SimClient {
  readonly #sim: Sim;
  readonly #node: SimNode;
  readonly #order: object;
  /** As after CLIENT NO-TOUCH. */
  noTouch = false;
  /** Replies in the order in which they came. */
  readonly replies: string[] = [];

  constructor(sim: Sim, node: SimNode) {
    this.#sim = sim;
    this.#node = node;
    this.#order = node.cluster.openClient();
  }

  /** Sends a command; resolves with its reply on one line (`+OK`, `$1 x`, `-ERR ...`). */
  send(...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      let answered = false;
      const done = (reply: string): void => {
        if (answered) return reject(new Error(`${args.join(' ')} was answered twice`));
        answered = true;
        const line = reply.trimEnd().replaceAll('\r\n', ' ');
        this.replies.push(line);
        resolve(line);
      };
      const prepared = this.#sim.prepare(args, this.noTouch);
      const reply = this.#node.cluster.submit({ prepared, order: this.#order, done });
      if (reply !== undefined) done(reply);
    });
  }
}
