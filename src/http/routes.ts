/**
 * From a request's method and target to an answer; knows nothing of sockets. Paths are compared as
 * they are: no decoding, no trailing slashes, so what is not exactly a known path is not found.
 */

export interface Answer {
  readonly status: number;
  /** Plain data, sent as JSON; or text, whose `contentType` is given. */
  readonly body: object | string;
  /** Unless said: JSON. */
  readonly contentType?: string;
  /** Methods that are allowed, for status 405. */
  readonly allow?: string;
}

export type Route = () => Answer;

const ALLOWED = 'GET, HEAD';

/** `target` as in the request line, query included. A route that throws is the caller's to catch. */
export function answerRequest(
  routes: ReadonlyMap<string, Route>,
  { method, target }: { method: string; target: string },
): Answer {
  const route = routes.get(pathOf(target));
  if (route === undefined) return { status: 404, body: { error: 'there is nothing here' } };
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, body: { error: `only ${ALLOWED}` }, allow: ALLOWED };
  }
  return route();
}

function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}
