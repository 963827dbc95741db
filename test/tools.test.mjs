import { spawn } from 'node:child_process'
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { missingEntries } from '../tools/complete-lock.mjs'
import { countTests } from '../tools/count-reporter.mjs'
import { withLock } from '../tools/directory-lock.mjs'
import { toOneByteText } from '../tools/one-byte-text.mjs'
import { assertNodeVersion } from '../tools/prepare.mjs'
import { judge } from '../tools/test.mjs'

const noCounts = { code: 0, passed: 0, failed: 0, executed: 0, skips: [] }
const checks = { passed: 4, failed: 0 }

describe('the verdict of npm test', () => {
  it('adds checks and tests', () => {
    const tests = { ...noCounts, passed: 2, executed: 2, skips: [{ name: 'a', note: 'why' }] }
    expect(judge(checks, tests, false)).toEqual({
      passed: 6,
      failed: 0,
      skipped: [{ name: 'a', note: 'why' }],
      problems: [],
    })
  })

  it('fails when no test was executed', () => {
    expect(judge(checks, noCounts, false)).toMatchObject({ failed: 1, problems: ['no test was executed'] })
  })

  it('fails when vitest fails without a failed test', () => {
    expect(judge(checks, { ...noCounts, code: 1, passed: 1, executed: 1 }, false)).toMatchObject({ failed: 1 })
  })

  it('counts a test whose program is missing as failed, in CI only', () => {
    const tests = { ...noCounts, passed: 1, executed: 1, skips: [{ name: 'completes in fish', note: 'missing: fish' }] }
    expect(judge(checks, tests, true)).toMatchObject({ failed: 1, skipped: [] })
    expect(judge(checks, tests, false)).toMatchObject({ failed: 0, skipped: tests.skips })
  })
})

describe('the count of tests', () => {
  const suite = (errors, tests = [], suites = []) => ({
    relativeModuleId: 'a.test.ts',
    errors: () => errors,
    children: { allTests: () => tests, allSuites: () => suites },
  })
  const test = (state, note) => ({ module: suite([]), fullName: 'works', result: () => ({ state, note }) })

  it('counts states and keeps the notes of skipped tests', () => {
    const tests = [test('passed'), test('failed'), test('skipped', 'missing: fish')]
    expect(countTests([suite([], tests)], [], 'failed')).toEqual({
      passed: 1,
      failed: 1,
      executed: 2,
      skips: [{ name: 'a.test.ts > works', note: 'missing: fish' }],
    })
  })

  it.each([
    ['a file that does not load', [suite(['SyntaxError'])], [], 'failed'],
    ['a hook that throws', [suite([], [test('skipped')], [suite(['beforeAll'])])], [], 'failed'],
    ['an unhandled error', [suite([], [test('passed')])], ['late'], 'failed'],
    ['a test that did not end', [suite([], [test('pending')])], [], 'failed'],
    ['an interrupted run', [suite([], [test('passed')])], [], 'interrupted'],
  ])('counts %s as failed', (_what, modules, errors, reason) => {
    expect(countTests(modules, errors, reason).failed).toBe(1)
  })
})

describe('the lock file', () => {
  it('has the optional packages of all platforms, which npm ci insists on', () => {
    const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
    expect(Object.keys(missingEntries(lock)), 'run: node tools/complete-lock.mjs').toEqual([])
  })

  it('gets what a partial package index left out', () => {
    const packages = {
      'node_modules/a': { version: '1.0.0', dev: true, optionalDependencies: { '@a/linux-x64-musl': '1.0.0' } },
      'node_modules/b': { version: '2.0.0', optionalDependencies: { '@c/darwin-arm64': '2.0.0' } },
      'node_modules/@c/darwin-arm64': { version: '1.0.0' },
    }
    expect(missingEntries({ packages })).toEqual({
      'node_modules/@a/linux-x64-musl': {
        version: '1.0.0',
        cpu: ['x64'],
        dev: true,
        libc: ['musl'],
        optional: true,
        os: ['linux'],
      },
      'node_modules/b/node_modules/@c/darwin-arm64': {
        version: '2.0.0',
        cpu: ['arm64'],
        optional: true,
        os: ['darwin'],
      },
    })
  })
})

describe('the text of a chunk', () => {
  it('means the same when its wide characters are escaped', () => {
    const wide = "['…', `🔄${1}`, /[–🚫]/u.test('🚫'), 'é', '\\n']"
    const narrow = toOneByteText(wide)
    expect(narrow).toMatch(/^[\0-\xff]*$/)
    expect(runInNewContext(narrow)).toEqual(runInNewContext(wide))
  })

  it.each(['String.raw`a…`', "'\\…'"])('is refused where an escape would mean something else: %s', (code) => {
    expect(() => toOneByteText(code)).toThrow('cannot be escaped')
  })
})

describe('the Node.js floor', () => {
  it.each(['20.19.0', '20.20.2', '22.0.0', '26.1.0'])('accepts %s', (version) => {
    expect(() => assertNodeVersion(version)).not.toThrow()
  })

  it.each(['18.20.0', '20.18.3'])('refuses %s and says what to do', (version) => {
    expect(() => assertNodeVersion(version)).toThrow(/20\.19.*install a newer Node\.js/)
  })
})

describe('the lock of the clone', () => {
  let directory
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'thv-lock-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('lets one action in at a time and leaves nothing', async () => {
    let inside = 0
    let most = 0
    const action = async () => {
      most = Math.max(most, ++inside)
      await new Promise((resolve) => setTimeout(resolve, 20))
      inside--
    }
    const lock = join(directory, 'lock')
    await Promise.all(Array.from({ length: 4 }, () => withLock(lock, () => {}, action)))
    expect(most).toBe(1)
    expect(readdirSync(directory)).toEqual([])
  })

  it('is taken over from a process that died', async () => {
    const dead = spawn(process.execPath, ['-e', ''])
    await new Promise((resolve) => dead.once('exit', resolve))
    const lock = join(directory, 'lock')
    mkdirSync(lock)
    writeFileSync(join(lock, 'owner'), JSON.stringify({ pid: dead.pid, since: Date.now() }))
    expect(
      await withLock(
        lock,
        () => {},
        async () => 'done',
      ),
    ).toBe('done')
    expect(readdirSync(directory)).toEqual([])
  })
})
