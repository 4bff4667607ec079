/**
 * A child of `ringfence up` must not outlive it, even when it is killed with -9: it holds one end
 * of a channel, and the kernel closes the other end when the parent is gone.
 */

/** Runs `stop` once when the process was started with a channel to its parent and that closes. */
export function onParentGone(stop: () => void): void {
  if (process.connected) process.once('disconnect', stop);
}

/** Runs `stop` once, with its reason, for the first of: SIGINT, SIGTERM, SIGHUP, the parent is gone. */
export function onStopRequest(stop: (reason: string) => void): void {
  let requested = false;
  const once = (reason: string): void => {
    if (requested) return;
    requested = true;
    stop(reason);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => once(signal));
  }
  onParentGone(() => once('the process that started this one is gone'));
}
