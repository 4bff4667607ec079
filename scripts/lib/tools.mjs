// The programs that some tests run live against, where they are installed.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const TOOLS = [
  {
    name: 'redis-server',
    uses: 'conformance live against a real server (the recorded replies were checked instead)',
    get: 'apt-get install redis-server',
  },
  { name: 'redis-cli', uses: 'redis-cli against a node', get: 'apt-get install redis-tools' },
  {
    name: 'redis-benchmark',
    uses: 'redis-benchmark against a node',
    get: 'apt-get install redis-tools',
  },
  {
    name: 'psql',
    uses: 'the demonstrations of the README',
    get: 'apt-get install postgresql-client',
  },
  { name: 'curl', uses: 'the demonstrations of the README', get: 'apt-get install curl' },
];

/** The tools of the list that are not on the PATH. */
export function missingTools(path = process.env.PATH ?? '') {
  return TOOLS.filter(
    ({ name }) => !path.split(delimiter).some((dir) => runnable(join(dir, name))),
  );
}

function runnable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: both mean that the tests cannot use it.
    return false;
  }
}

/** Lines for people: what did not run, and how to get it. */
export function missingToolsReport(missing) {
  return missing.map(({ name, uses, get }) => ` Not run  ${uses}: ${name} is missing (${get})`);
}
