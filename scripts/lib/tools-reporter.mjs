// A vitest reporter that puts what did not run for want of a tool just above vitest's own summary.
import { missingTools, missingToolsReport } from './tools.mjs';

export default class ToolsReporter {
  onTestRunEnd() {
    for (const line of missingToolsReport(missingTools())) console.log(line);
  }
}
