// `npm start`: installs and builds what is missing, then is `ringfence up`, in this same process,
// so that signals reach it directly.
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { main, prepare, ROOT } from './lib/prepare.mjs';

await main(async () => {
  await prepare();
  const { runProgram } = await import(pathToFileURL(join(ROOT, 'dist', 'cli', 'main.js')).href);
  await runProgram(['up', ...process.argv.slice(2)]);
});
