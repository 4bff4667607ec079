// `ringfence up` from dist/, with test/support/fake-node.mjs in the place of the nodes.
import { fileURLToPath } from 'node:url';
import { runUp } from '../../dist/cli/local/up-command.js';

try {
  const fakeNode = fileURLToPath(new URL('./fake-node.mjs', import.meta.url));
  process.exitCode = await runUp(process.argv.slice(2), [fakeNode]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
