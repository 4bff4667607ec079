/** One question to an HTTP endpoint on this machine: does it answer 200? */
import { get } from 'node:http';

const TIMEOUT_MS = 1000;
const BODY_CHARS_MAX = 300;

/** Undefined for 200; else what it answered, or why it did not within a second. Never rejects. */
export function httpProblem(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: TIMEOUT_MS }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.once('end', () => {
        const text = body.slice(0, BODY_CHARS_MAX).trim();
        resolve(response.statusCode === 200 ? undefined : `${response.statusCode} ${text}`);
      });
    });
    request.once('timeout', () => request.destroy(new Error('no answer within a second')));
    request.once('error', (error) => resolve(error.message));
    // After an answer that broke off in the middle; otherwise it is settled already.
    request.once('close', () => resolve('the answer broke off'));
  });
}
