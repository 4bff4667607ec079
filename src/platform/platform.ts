import type { Clock, Random, Timers } from './clock.ts';
import type { Transport } from './transport.ts';

/** Everything of the outside world that the code above may touch, except the database. */
export interface Platform {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly transport: Transport;
}
