/**
 * Processor time of processes (user and system), from /proc. On a machine where clients, servers and
 * the database share the processors, time per operation says more than operations per second.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

/** Processes whose time is shown as one figure. */
export interface ProcessGroup {
  readonly name: string;
  readonly pid: number;
  /** Its direct children count too, living and ended: PostgreSQL has a process per connection. */
  readonly withChildren: boolean;
}

export interface ProcessStat {
  readonly parent: number;
  /** Clock ticks that it used itself, all threads together. */
  readonly ownTicks: number;
  /** Clock ticks of its children that have ended and were waited for. */
  readonly endedChildrenTicks: number;
}

/** Parses `/proc/<pid>/stat`. The program's name may hold spaces and brackets, so the last one counts. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // fields[0] is field 3 of proc(5).
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    parent: field(4),
    ownTicks: field(14) + field(15),
    endedChildrenTicks: field(16) + field(17),
  };
}

/** Microseconds of processor time that each group has used since its start. */
export function readGroups(groups: readonly ProcessGroup[]): Map<string, number> {
  return new Map(groups.map((group) => [group.name, microseconds(groupTicks(group))]));
}

/** Microseconds used by children of this process that have ended: the load generators. */
export function readEndedChildren(): number {
  return microseconds(readStat('self')?.endedChildrenTicks ?? 0);
}

/**
 * Microseconds that all processors together were busy since the start of the machine, whoever used
 * them, and time that a hypervisor took away (on a virtual machine).
 */
export function readMachine(): number {
  return microseconds(parseMachineStat(readFileSync('/proc/stat', 'latin1')));
}

/** Parses the first line of `/proc/stat`: clock ticks that were neither idle nor waiting for a disk. */
export function parseMachineStat(text: string): number {
  const [, user, nice, system, , , irq, softirq, steal] = (text.split('\n', 1)[0] ?? '').split(
    /\s+/,
  );
  return [user, nice, system, irq, softirq, steal].reduce((sum, ticks) => sum + Number(ticks), 0);
}

/** A child that ends while it is looked at is in neither sum; then all are looked at again, this often at most. */
const LOOKS_MAX = 20;

function groupTicks({ name, pid, withChildren }: ProcessGroup): number {
  const statOf = (): ProcessStat => {
    const stat = readStat(String(pid));
    if (stat === undefined) throw new Error(`${name} (pid ${pid}) is gone`);
    return stat;
  };
  let stat = statOf();
  if (!withChildren) return stat.ownTicks;
  for (let look = 0; look < LOOKS_MAX; look++) {
    const living = livingChildrenTicks(pid);
    const now = statOf();
    if (now.endedChildrenTicks === stat.endedChildrenTicks) {
      return now.ownTicks + now.endedChildrenTicks + living;
    }
    stat = now;
  }
  throw new Error(`children of ${name} (pid ${pid}) end all the time, and cannot be counted`);
}

function livingChildrenTicks(pid: number): number {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(readStat)
    .filter((child) => child?.parent === pid)
    .reduce((sum, child) => sum + (child?.ownTicks ?? 0), 0);
}

/** Undefined when there is no such process (any more). */
function readStat(pid: string): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

let microsecondsPerTick: number | undefined;

function microseconds(ticks: number): number {
  microsecondsPerTick ??=
    1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticks * microsecondsPerTick;
}
