import { expect, test } from 'vitest';
import { answerRequest, type Route } from '../../../src/http/routes.ts';

const routes = new Map<string, Route>([['/a', () => ({ status: 200, body: { a: 1 } })]]);

test.each([
  { method: 'GET', target: '/a', status: 200 },
  { method: 'HEAD', target: '/a', status: 200 },
  { method: 'GET', target: '/a?', status: 200 },
  { method: 'GET', target: '/a?b=/c', status: 200 },
  { method: 'POST', target: '/a', status: 405 },
  { method: 'GET', target: '/b', status: 404 },
  { method: 'POST', target: '/b', status: 404 },
  { method: 'GET', target: '', status: 404 },
  { method: 'GET', target: 'http://host/a', status: 404 },
])('$method $target answers $status', ({ method, target, status }) => {
  expect(answerRequest(routes, { method, target }).status).toBe(status);
});

test('a method that is not allowed is told which are', () => {
  expect(answerRequest(routes, { method: 'PUT', target: '/a' }).allow).toBe('GET, HEAD');
});
