/** SIGKILL of all nodes and of PostgreSQL: what was acknowledged is only on the disk now. */
import { DOWN_MS, type Fault, pause } from './fault.ts';

export const killEverything: Fault = {
  name: 'kill-everything',
  async inject(target, say) {
    say('killing all nodes and PostgreSQL');
    await target.killEverything();
    await pause(DOWN_MS);
    say('starting them again');
    await target.startEverything();
  },
};
