/** What must not outlive this process, however it ends: signals to children, sent when it exits. */

const kills = new Set<() => void>();
let listening = false;

/** Calls `kill` when this process exits; returns how to take that back. One listener for all of them. */
export function atExit(kill: () => void): () => void {
  kills.add(kill);
  if (!listening) {
    listening = true;
    process.once('exit', () => {
      for (const each of kills) each();
    });
  }
  return () => void kills.delete(kill);
}
