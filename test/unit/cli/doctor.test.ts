import { describe, expect, test } from 'vitest';
import {
  checkDatabase,
  judgeClock,
  judgeServer,
  type ServerFacts,
} from '../../../src/cli/doctor/check-database.ts';
import { parsePeers } from '../../../src/cli/doctor/check-network.ts';
import { formatFinding } from '../../../src/cli/doctor/finding.ts';

const GOOD: ServerFacts = {
  version: 150_018,
  versionText: '15.18',
  encoding: 'UTF8',
  standby: false,
  readOnly: false,
  synchronousCommit: 'on',
  fsync: 'on',
  fullPageWrites: 'on',
  connectionsFree: 90,
  mayCreate: true,
  databaseMs: 0,
};

describe('the doctor on the database', () => {
  test('finds nothing wrong with a good server', () => {
    expect(judgeServer(GOOD, 7).map(({ level }) => level)).toEqual(['ok']);
  });

  test.each<[string, Partial<ServerFacts>, string]>([
    ['too old', { version: 120_000 }, 'fail'],
    ['not UTF-8', { encoding: 'LATIN1' }, 'fail'],
    ['a standby', { standby: true }, 'fail'],
    ['read-only', { readOnly: true }, 'fail'],
    ['without fsync', { fsync: 'off' }, 'fail'],
    ['without full page writes', { fullPageWrites: 'off' }, 'fail'],
    ['without the right to create', { mayCreate: false }, 'fail'],
    ['with asynchronous commits', { synchronousCommit: 'off' }, 'warn'],
    ['with too few connections', { connectionsFree: 6 }, 'warn'],
  ])('a server %s is named with a fix', (_label, facts, level) => {
    const findings = judgeServer({ ...GOOD, ...facts }, 7);
    expect(findings.map((finding) => finding.level)).toEqual([level]);
    expect(findings[0]?.fix).toBeTruthy();
  });

  test('no URL and an address nobody listens on are failures with a fix', async () => {
    for (const url of ['', 'postgres://u@127.0.0.1:1/db']) {
      const findings = await checkDatabase(url, 4);
      expect(findings.map(({ level }) => level)).toEqual(['fail']);
      expect(findings[0]?.fix).toBeTruthy();
    }
  });

  test('a clock that is off by more than a second is a warning', () => {
    expect(judgeClock(-900).level).toBe('ok');
    expect(judgeClock(1500)).toMatchObject({
      level: 'warn',
      text: "the database's clock is 1500 ms ahead of this machine's",
    });
  });
});

test('peers are read from CLUSTER NODES', () => {
  expect(parsePeers('a1 10.0.0.1:7001@17001,node-1 master - 0 0 1 connected\nbroken\n')).toEqual([
    { id: 'a1', host: '10.0.0.1', port: 7001, linkPort: 17_001 },
  ]);
});

test('a finding names what to do', () => {
  const text = formatFinding({ level: 'fail', about: 'clock', text: 'bad', fix: 'mend it' });
  expect(text).toBe('FAIL  clock      bad\n                 fix: mend it');
});
