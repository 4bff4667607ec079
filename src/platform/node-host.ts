/** What INFO tells about this process and machine. */
import { arch, release, totalmem, type } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { HostFacts } from './host.ts';

export function nodeHostFacts(): HostFacts {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  // Kept by libuv anyway: asking costs microseconds, and nothing is measured for it.
  const { active, idle } = performance.eventLoopUtilization();
  return {
    os: `${type()} ${release()} ${arch()}`,
    processId: process.pid,
    executable: process.execPath,
    residentBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    machineBytes: totalmem(),
    cpuUserSeconds: user / 1e6,
    cpuSystemSeconds: system / 1e6,
    eventLoopActiveSeconds: active / 1e3,
    eventLoopIdleSeconds: idle / 1e3,
  };
}
