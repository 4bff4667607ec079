/** Every fault by name, in the order in which a run without a choice takes them. */
import type { Target } from '../target.ts';
import { clockBack, clockForward } from './clock.ts';
import type { Fault } from './fault.ts';
import { legacyFailing, legacyGarbage, legacySlow } from './legacy.ts';
import { join, plannedLeave, rollingRestart } from './membership.ts';
import * as network from './network.ts';
import * as postgres from './postgres.ts';
import { killEverything, killNode, pauseLong, pauseShort, restartNode } from './processes.ts';

export const FAULTS: readonly Fault[] = [
  killNode,
  restartNode,
  pauseShort,
  pauseLong,
  postgres.postgresRestart,
  postgres.postgresKill,
  postgres.postgresPause,
  postgres.postgresUnreachable,
  postgres.diskFull,
  network.cutLink,
  network.cutOneWay,
  network.cutFromPostgres,
  network.partitionMinority,
  network.resetConnections,
  network.resetFromPostgres,
  network.packetLoss,
  network.packetDelay,
  legacySlow,
  legacyFailing,
  legacyGarbage,
  clockForward,
  clockBack,
  rollingRestart,
  join,
  plannedLeave,
  killEverything,
];

/** The faults of these names, in the order given. Throws on a name that is none. */
export function faultsByName(names: readonly string[]): Fault[] {
  return names.map((name) => {
    const fault = FAULTS.find((known) => known.name === name);
    if (fault === undefined) throw new Error(`there is no fault '${name}'`);
    return fault;
  });
}

/** One line per fault that the target cannot do, with the reason. */
export function refusals(faults: readonly Fault[], target: Target): string[] {
  return faults.flatMap((fault) => {
    const reason = fault.whyNot(target);
    return reason === undefined
      ? []
      : [`${fault.name} cannot be done on ${target.name}: ${reason}`];
  });
}
