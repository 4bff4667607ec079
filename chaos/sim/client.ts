/** A client of a simulated node, right above its router: no sockets, no sessions. */
import { MULTIBULK_MAX, RequestDecoder } from '../../src/resp/decoder.ts';
import { Frames } from '../../src/resp/frames.ts';
import { ReplyBuffer } from '../../src/resp/reply-buffer.ts';
import type { Sim, SimNode } from './cluster.ts';

/** Replies of direct reads that are longer are read the ordinary way, bytes. */
const DIRECT_BYTES_MAX = 64 * 1024;

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
      const direct = this.readDirectly(args);
      const prepared = this.#sim.prepare(args, this.noTouch);
      const reply = this.#node.cluster.submit({ prepared, order: this.#order, done });
      // At the same moment, both ways have to come to the same answer.
      if (direct !== undefined && direct !== reply)
        return reject(new Error(`${args.join(' ')}: ${direct} directly, and ${reply} else`));
      if (reply !== undefined) done(reply);
    });
  }

  /** The encoded reply of a GET or MGET as a session gets it the short way; undefined when there is none. */
  readDirectly(args: readonly string[]): string | undefined {
    if (args[0] !== 'GET' && args[0] !== 'MGET') return undefined;
    const decoder = new RequestDecoder({
      protoMaxBulkLen: MULTIBULK_MAX,
      multibulkMax: MULTIBULK_MAX,
    });
    const frames = new Frames();
    const bulks = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`);
    decoder.feed(Buffer.from(`*${args.length}\r\n${bulks.join('')}`, 'latin1'));
    if (!decoder.peek(frames)) return undefined;
    const out = new ReplyBuffer(DIRECT_BYTES_MAX);
    const answered = this.#node.cluster.readDirectly(this.#order, {
      frames,
      out,
      arrays: Uint8Array.of(args[0] === 'MGET' ? 1 : 0),
      db: 0,
      touches: !this.noTouch,
      allowedAtMs: 0,
    });
    return answered === 0 ? undefined : out.take();
  }
}
