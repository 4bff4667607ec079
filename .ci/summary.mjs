// Prints `N passed, N failed` from vitest's JSON report. Fails when there is no report, no test, or
// one that did not run.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const skipped = report.numPendingTests + report.numTodoTests;
const brokenFiles = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
);
for (const { name, message } of brokenFiles) console.log(`did not run: ${name}: ${message}`);
if (skipped > 0) console.log(`${skipped} tests did not run`);
console.log(
  `${report.numPassedTests} passed, ${report.numFailedTests + brokenFiles.length} failed`,
);
if (report.numPassedTests === 0 || skipped > 0 || !report.success) process.exitCode = 1;
