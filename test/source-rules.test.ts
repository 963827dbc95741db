import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const files = listFiles()
const code = files.filter((file) => /\.(ts|tsx|mjs|js|cjs)$/.test(file))
const product = code.filter((file) => /^(packages|apps)\/[^/]+\/src\//.test(file))
const isTest = (file: string) => /\.(test|contract)\.ts$|\/(fixtures|testing)\//.test(file)

/** The house rule. */
const longestFile = 500

describe('the source', () => {
  it('is found', () => {
    // A scan of nothing would pass.
    expect(product.length).toBeGreaterThan(80)
  })

  it('reads the environment in the apps and in the adapters for it only', () => {
    const isAllowed = (file: string) =>
      file.startsWith('apps/') || /^packages\/adapters\/.*env/.test(file) || isTest(file)
    const reads = /\bprocess\.env\b|\benv\b[^=\n]*\}\s*=\s*process\b|from 'node:process'/
    expect(linesMatching(product, reads, isAllowed)).toEqual([])
  })

  it('keeps Node out of core, but for its types', () => {
    const core = product.filter((file) => file.startsWith('packages/core/') && !isTest(file))
    const valueImport = /\bimport\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?['"]node:|\bimport\(\s*['"]node:/
    expect(core.filter((file) => valueImport.test(read(file)))).toEqual([])
  })

  it('loads the API, and schemas with their library, for `thv serve` only', () => {
    const isOutside = (file: string) =>
      !/^(apps\/thv\/src\/api|packages\/core\/src\/schemas)\//.test(file) && !isTest(file)
    const early = /\bimport\s+(?!type\b)[^'";]*?\bfrom\s+['"](?:[^'"]*\/api\/|@thv\/core\/schemas|[^'"]*\/schemas\/)/
    expect(product.filter((file) => isOutside(file) && early.test(read(file)))).toEqual([])
    expect(early.test("import { a } from '../api/a.ts'")).toBe(true)
  })

  it('loads the data plane for supervisors and `thv serve` only, since it would be half of every command', () => {
    const late = /^apps\/thv\/src\/(?:api\/|supervisor\.ts|wire-supervision\.ts)/
    const early = linesMatching(
      product.filter((file) => file.startsWith('apps/') && !isTest(file)),
      /^(?:import|export)(?! type)\b.*from '@thv\/(?:proxy|runner)'/,
      (file) => late.test(file),
    )
    expect(early).toEqual([])
  })

  it('has no file above the limit', () => {
    expect(code.filter((file) => read(file).trimEnd().split('\n').length > longestFile)).toEqual([])
  })

  it('has no dumping ground', () => {
    expect(code.filter((file) => /^(utils?|helpers?|common)\.\w+$/.test(basename(file)))).toEqual([])
  })

  it('exports by name only', () => {
    expect(linesMatching(product, /^\s*export\s+default\b|\bas default\b/, () => false)).toEqual([])
  })

  it('has one index per package', () => {
    const extra = product.filter(
      (file) => basename(file) === 'index.ts' && !/^packages\/[^/]+\/src\/index\.ts$/.test(file),
    )
    expect(extra.filter((file) => file !== 'packages/core/src/schemas/index.ts')).toEqual([])
  })

  it('holds every timeout that it joins with another signal', () => {
    // Nothing else keeps one alive that `AbortSignal.any` is given: `withTimeLimit` says why.
    const joined = product.filter((file) => basename(file) !== 'with-time-limit.ts').filter(joinsTimeout)
    expect(joined).toEqual([])
    expect(product.filter((file) => joinsTimeout(file)).length).toBeGreaterThan(0)
  })

  it('gives a reason wherever it switches a rule off', () => {
    const self = 'test/source-rules.test.ts'
    const linter = /(ox|es)lint-disable(?!.* -- \S)/
    const compiler = /@ts-(ignore|expect-error|nocheck)(?!\W+\w+\W+\w+)/
    const isSelf = (file: string) => file === self
    expect([...linesMatching(code, linter, isSelf), ...linesMatching(code, compiler, isSelf)]).toEqual([])
  })
})

describe('the repository', () => {
  // Put together from halves, so that this file does not contain what it looks for.
  const hosts = [
    ['registry.', 'npmjs.org'],
    ['registry.', 'yarnpkg.com'],
    ['pypi', '.org'],
    ['files.', 'pythonhosted.org'],
    ['proxy.', 'golang.org'],
    ['sum.', 'golang.org'],
  ].map((halves) => halves.join(''))

  it.each(hosts)('does not name the package index %s', (host) => {
    expect(files.filter((file) => read(file).includes(host))).toEqual([])
  })

  it('contains no path of the machine it was written on', () => {
    const workshop = new RegExp(['(?<![\\w.$}-])/wo', 'rk/|/roo', 't/[.\\w]'].join(''))
    const clone = root.replace(/[\\/]$/, '')
    const names = (file: string) => workshop.test(read(file)) || (clone.length > 8 && read(file).includes(clone))
    expect(files.filter(names)).toEqual([])
  })
})

/** Tracked files and new ones, not ignored ones; as they are on disk. */
function listFiles(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z']
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`git ls-files failed, and these rules need a git clone: ${stderr}`)
  return stdout
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)) && statSync(join(root, file)).isFile())
}

/** Whether a timeout, on the spot or by its name, is an argument of `AbortSignal.any`. */
function joinsTimeout(file: string): boolean {
  const text = read(file)
  const names = [...text.matchAll(/(\w+)\s*=\s*AbortSignal\.timeout\(/g)].map(([, name]) => name)
  const joins = [...text.matchAll(/AbortSignal\.any\(\[([\s\S]*?)\]\)/g)].map(([, joined = '']) => joined)
  return joins.some((joined) => new RegExp(`\\b(?:${['AbortSignal\\.timeout', ...names].join('|')})\\b`).test(joined))
}

function linesMatching(among: string[], pattern: RegExp, isAllowed: (file: string) => boolean): string[] {
  return among
    .filter((file) => !isAllowed(file))
    .flatMap((file) =>
      read(file)
        .split('\n')
        .map((line, index) => ({ line, place: `${file}:${index + 1}` }))
        .filter(({ line }) => pattern.test(line) && !(/^\s*(\/\/|\*|\/\*)/.test(line) && !/disable|@ts-/.test(line)))
        .map(({ line, place }) => `${place}: ${line.trim()}`),
    )
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}
