/** Facts about the process and its machine, for people and tools; nothing is decided by them. */
export interface HostFacts {
  readonly os: string;
  readonly processId: number;
  readonly executable: string;
  /** Resident set of the process, bytes. */
  readonly residentBytes: number;
  /** JavaScript heap in use, bytes. */
  readonly heapBytes: number;
  /** Memory outside of the heap that JavaScript objects hold (buffers), bytes. */
  readonly externalBytes: number;
  /** Memory of the machine, bytes. */
  readonly machineBytes: number;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** Time that the event loop has worked, and has waited for work, since the start of the process. */
  readonly eventLoopActiveSeconds: number;
  readonly eventLoopIdleSeconds: number;
}
