import { defineConfig } from 'vitest/config'

const shared = {
  resolve: { conditions: ['@thv/source'] },
  ssr: { resolve: { conditions: ['@thv/source'] } },
}

export default defineConfig({
  ...shared,
  test: {
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default'],
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'apps/*/src/**/*.test.ts',
            'test/*.test.{ts,mjs}',
            'test/contract/*.test.ts',
          ],
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        ...shared,
        test: {
          // What asserts times with more processes than a machine has cores: afterwards, and one at a time.
          name: 'load',
          include: ['test/load/**/*.test.ts'],
          hookTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
