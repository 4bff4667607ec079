/** One question to an HTTP endpoint on this machine: does it answer 200? */
import { get } from 'node:http';

const TIMEOUT_MS = 1000;

/** False for any other status, for no answer, and for one that takes over a second. */
export function isHttpOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
    request.once('close', () => resolve(false));
  });
}
