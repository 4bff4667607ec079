/**
 * What the server needs from the cluster to get commands on keys answered. The cluster implements it;
 * sessions know nothing of slots, owners or links.
 */
import type { Prepared } from '../cluster/execute.ts';
import type { DirectReadBatch } from '../cluster/local-reads.ts';

/**
 * One client connection as the router knows it: by it the router keeps commands of one client on one
 * slot in the order in which they came. Opaque to the server.
 */
export type ClientOrder = object;

/** One command on its way. */
export interface Call {
  readonly prepared: Prepared;
  readonly order: ClientOrder;
  /** Hands in the encoded reply, errors included. Only the first call counts. Never throws. */
  done(reply: string): void;
}

export interface Router {
  openClient(): ClientOrder;
  /** The client is gone: no order has to be kept for it. Calls under way still end with `done`. */
  closeClient(order: ClientOrder): void;
  /**
   * Takes a command. Returns its encoded reply if there is one already, and then never calls `done`;
   * else undefined, and calls `call.done` once, within the request's time bound whatever happens.
   * Never throws for what a client can cause.
   */
  submit(call: Call): string | undefined;
  /**
   * Copies the replies of reads to `batch.out`, as long as they can be answered at once from this node's memory. Returns
   * how many of the commands were answered; nothing was done about the others, which have to be submitted.
   */
  readDirectly(order: ClientOrder, batch: DirectReadBatch): number;
}
