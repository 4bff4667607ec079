/** What INFO tells about this process and machine. */
import { arch, release, totalmem, type } from 'node:os';
import type { HostFacts } from './host.ts';

export function nodeHostFacts(): HostFacts {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    os: `${type()} ${release()} ${arch()}`,
    processId: process.pid,
    executable: process.execPath,
    residentBytes: rss,
    heapBytes: heapUsed,
    machineBytes: totalmem(),
    cpuUserSeconds: user / 1e6,
    cpuSystemSeconds: system / 1e6,
  };
}
