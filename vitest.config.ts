import { defineConfig } from 'vitest/config';

// Integration files start real processes and share two cores, so files run one at a
// time; unit files are cheap and do not notice.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    fileParallelism: false,
    globalSetup: ['test/support/shared-cluster.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
