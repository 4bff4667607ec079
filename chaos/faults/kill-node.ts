/** SIGKILL of one node; the clients of the others see a pause. */
import { DOWN_MS, type Fault, pause } from './fault.ts';

export const killNode: Fault = {
  name: 'kill-node',
  async inject(target, say) {
    const index = 1 % target.nodes.length;
    say(`killing ${target.nodes[index]!.name}`);
    await target.killNode(index);
    await pause(DOWN_MS);
    say(`starting ${target.nodes[index]!.name} again`);
    await target.startNode(index);
  },
};
