/**
 * A vitest reporter that counts for tools/test.mjs, into the file named by THV_TEST_COUNTS.
 * Not the last line itself: vitest prints after its reporters, and the checks count too.
 */
import { writeFileSync } from 'node:fs'

// oxlint-disable-next-line import/no-default-export -- vitest loads a reporter by its default export
export default class CountReporter {
  onTestRunEnd(testModules, unhandledErrors, reason) {
    const counts = countTests(testModules, unhandledErrors, reason)
    writeFileSync(process.env.THV_TEST_COUNTS, JSON.stringify(counts))
  }
}

/** `executed` is the number of tests that ran; `skips` lists the others with their notes. */
export function countTests(testModules, unhandledErrors, reason) {
  const counts = { passed: 0, failed: unhandledErrors.length, executed: 0, skips: [] }
  for (const module of testModules) {
    countOuter(module, counts)
    for (const suite of module.children.allSuites()) countOuter(suite, counts)
    for (const test of module.children.allTests()) countTest(test, counts)
  }
  if (reason === 'interrupted') counts.failed++
  return counts
}

/** A module that does not load and a suite whose hook throws have errors of their own, and hide their tests. */
function countOuter(suite, counts) {
  if (suite.errors().length > 0) counts.failed++
}

function countTest(test, counts) {
  const { state, note } = test.result()
  if (state === 'skipped') {
    counts.skips.push({ name: `${test.module.relativeModuleId} > ${test.fullName}`, note })
    return
  }
  counts.executed++
  // "pending" here means that the run ended before the test did.
  counts[state === 'passed' ? 'passed' : 'failed']++
}
