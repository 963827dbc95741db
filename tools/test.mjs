/**
 * `npm test`: prepares, checks and tests. The last line of stdout is `N passed, N failed, N skipped`, where each
 * check and the build count as one test, and the exit code is 0 only if nothing failed. Arguments go to vitest.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { check } from './check.mjs'
import { packageCommand, run } from './commands.mjs'
import { prepare } from './prepare.mjs'
import { isMainModule, root } from './repository.mjs'

/** A test that skips itself because a program is not installed starts its note with this. */
const missingProgram = 'missing:'

if (isMainModule(import.meta.url)) process.exitCode = await main()

async function main() {
  let total
  try {
    await prepare({ build: false })
    const checks = await check()
    checks[(await builds()) ? 'passed' : 'failed']++
    const tests = await runTests(process.argv.slice(2))
    total = judge(checks, tests, process.env.CI === 'true')
  } catch (error) {
    console.log(error.message)
    total = { passed: 0, failed: 1, skipped: [], problems: [] }
  }
  for (const { name, note } of total.skipped) console.log(`skipped: ${name} (${note ?? 'no reason given'})`)
  for (const problem of total.problems) console.log(`failed: ${problem}`)
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped.length} skipped`)
  return total.failed === 0 ? 0 : 1
}

/** A program that does not build is one failure, and no reason to keep the others back. */
async function builds() {
  try {
    await prepare()
    return true
  } catch (error) {
    console.log(`FAILED build\n${error.message}`)
    return false
  }
}

async function runTests(args) {
  const directory = mkdtempSync(join(tmpdir(), 'thv-test-'))
  const countsFile = join(directory, 'counts.json')
  try {
    const reporter = join(root, 'tools', 'count-reporter.mjs')
    const command = packageCommand('vitest', 'run', '--reporter=default', `--reporter=${reporter}`, ...args)
    const env = { ...process.env, THV_TEST_COUNTS: countsFile }
    const { code } = await run(command, { env, endsWithUs: true, stdio: ['ignore', 'inherit', 'inherit'] })
    return { code, ...readCounts(countsFile) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function readCounts(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // vitest ended before its reporters did; its exit code says so too.
    return { passed: 0, failed: 0, executed: 0, skips: [] }
  }
}

/** Adds up. Whatever would let a broken run look green becomes a problem, and each problem counts as failed. */
export function judge(checks, tests, isCi) {
  const isMissing = ({ note }) => isCi && note?.startsWith(missingProgram)
  const problems = tests.skips.filter(isMissing).map(({ name, note }) => `${name} (${note})`)
  if (tests.executed === 0) problems.push('no test was executed')
  if (tests.code !== 0 && tests.failed === 0 && problems.length === 0) {
    problems.push(`vitest ended with exit code ${tests.code} and no failed test`)
  }
  return {
    passed: checks.passed + tests.passed,
    failed: checks.failed + tests.failed + problems.length,
    skipped: tests.skips.filter((skip) => !isMissing(skip)),
    problems,
  }
}
