import { cruise, type ICruiseResult } from 'dependency-cruiser'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What a package may import: packages of ours, packages of others with the folder they are allowed in. */
interface Allowance {
  ours: string[]
  others: Record<string, RegExp>
}

const anywhere = /^/
const allowances: Record<string, Allowance> = {
  'packages/core': { ours: [], others: { zod: /^packages\/core\/src\/schemas\// } },
  'packages/proxy': { ours: [], others: { undici: anywhere } },
  'packages/runner': { ours: ['packages/core', 'packages/proxy'], others: {} },
  'packages/adapters': {
    ours: ['packages/core'],
    others: {
      '@napi-rs/keyring': /^packages\/adapters\/src\/secrets\//,
      oauth4webapi: /^packages\/adapters\/src\/oauth\//,
    },
  },
  'packages/client': { ours: ['packages/core'], others: {} },
  'apps/thv': {
    ours: ['packages/core', 'packages/proxy', 'packages/runner', 'packages/adapters', 'packages/client'],
    others: {
      '@hono/node-server': /^apps\/thv\/src\/api\//,
      '@modelcontextprotocol/client': anywhere,
      commander: anywhere,
      hono: /^apps\/thv\/src\/api\//,
      'string-width': anywhere,
      'yocto-spinner': anywhere,
      zod: /^apps\/thv\/src\/api\//,
    },
  },
}

/** Test programs may use these on top, and nothing else does. */
const testPackages = new Set([
  'vitest',
  'fast-check',
  'ajv',
  '@modelcontextprotocol/sdk',
  '@modelcontextprotocol/client',
  '@modelcontextprotocol/server',
  '@modelcontextprotocol/node',
])
const testFile = /\.(test|contract)\.ts$|\/ports\/contracts\.ts$|\/(fixtures|testing)\//

/** Walls inside a package. `$1` stands for what the first group of `from` matched. */
const walls = [
  { from: /^packages\/core\/src\/domain\//, to: '^packages/core/src/use-cases/' },
  { from: /^packages\/adapters\/src\/([^/]+)\//, to: '^packages/adapters/src/(?!$1/)[^/]+/' },
  { from: /^packages\/proxy\/src\/middleware\/([^/]+)\//, to: '^packages/proxy/src/middleware/(?!$1/)[^/]+/' },
  {
    from: /^packages\/proxy\/src\/(?:exchange|chain|transport|mcp|session)(?:\.ts$|\/)/,
    to: '^packages/proxy/src/middleware/',
  },
]

/**
 * Without @swc/core the cruiser reads no TypeScript 7, finds 0 modules and reports that all is well.
 * The numbers are four fifths of what there was when they were written, so that ordinary work does not touch them.
 */
const fewestModules = {
  'packages/core': 38,
  'packages/proxy': 36,
  'packages/runner': 5,
  'packages/adapters': 72,
  'packages/client': 11,
  'apps/thv': 36,
}

const root = fileURLToPath(new URL('..', import.meta.url))

describe('the import graph', () => {
  let graph: ICruiseResult
  beforeAll(async () => {
    graph = await readGraph(root)
    // It reads every module of the repository, beside other tests.
  }, 60_000)

  it.each(Object.entries(fewestModules))('has the modules of %s', (workspace, fewest) => {
    const modules = graph.modules.filter(({ source }) => source.startsWith(`${workspace}/src/`))
    expect(modules.length).toBeGreaterThanOrEqual(Math.max(1, fewest))
  })

  it('has no workspace without a rule', () => {
    const workspaces = new Set(
      graph.modules.map(({ source }) => workspaceOf(source)).filter((name) => name !== undefined),
    )
    expect([...workspaces].filter((name) => !(name in allowances))).toEqual([])
  })

  it('obeys the table of allowed imports', () => {
    expect(violations(graph, root)).toEqual([])
  })
})

describe('the rules themselves', () => {
  let directory: string
  let found: string[]
  beforeAll(async () => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'thv-architecture-')))
    writeBadClone(directory)
    found = violations(await readGraph(directory), directory)
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it.each([
    ['a package that may not be imported', 'core/src/forbidden.ts imports @thv/proxy: not allowed in packages/core'],
    ['a type that may not be imported', 'core/src/forbidden-type.ts imports @thv/proxy: not allowed in packages/core'],
    ['a deep import', 'adapters/src/state/deep.ts imports ../../../core/src/domain/a.ts: past the exports'],
    ['a package of others', 'core/src/zod-outside.ts imports zod: not allowed in packages/core'],
    ['a test tool outside tests', 'core/src/tool.ts imports vitest: not allowed in packages/core'],
    ['a name that does not resolve', 'core/src/unresolved.ts imports ./nowhere.ts: can not be resolved'],
    ['product code that needs test code', 'core/src/needs-test.ts imports ./testing/fake.ts: code of tests'],
    ['a cycle', 'core/src/domain/cycle-a.ts imports ./cycle-b.ts: a cycle'],
    ['use cases in the domain', 'core/src/domain/wall.ts imports ../use-cases/u.ts: a wall'],
    ['another adapter family', 'adapters/src/state/family.ts imports ../processes/p.ts: a wall'],
    ['another middleware', 'proxy/src/middleware/a/a.ts imports ../b/b.ts: a wall'],
    ['middleware in a transport', 'proxy/src/transport/t.ts imports ../middleware/b/b.ts: a wall'],
  ])('catch %s', (_what, violation) => {
    expect(found).toContain(`packages/${violation}`)
  })

  it('leave the allowed imports alone', () => {
    expect(found.filter((line) => line.includes('/good'))).toEqual([])
  })
})

async function readGraph(baseDir: string): Promise<ICruiseResult> {
  // No `parser`: with 'swc' given by name the cruiser stops at .tsx files; without, it finds @swc/core by itself.
  const { output } = await cruise(['packages', 'apps'], {
    baseDir,
    validate: true,
    // A lazy import closes no cycle: the table of commands loads them, and one of them lists the table.
    ruleSet: {
      forbidden: [
        { name: 'cycle', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['dynamic-import'] } } },
      ],
    },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@thv/source', 'import', 'node', 'types', 'default'],
    },
  })
  if (typeof output === 'string') throw new TypeError(`the cruiser answered with text: ${output}`)
  return output
}

type Dependency = ICruiseResult['modules'][number]['dependencies'][number]

function violations(graph: ICruiseResult, base: string): string[] {
  const entries = new Set(Object.keys(allowances).flatMap((workspace) => entryFiles(base, workspace)))
  return graph.modules.flatMap(({ source, dependencies }) => {
    const workspace = workspaceOf(source)
    if (workspace === undefined) return []
    return dependencies.flatMap((dependency) => {
      const reason = judge(source, workspace, dependency, entries)
      return reason === undefined ? [] : [`${source} imports ${dependency.module}: ${reason}`]
    })
  })
}

function judge(source: string, workspace: string, dependency: Dependency, entries: Set<string>): string | undefined {
  const { resolved, dependencyTypes, valid, couldNotResolve } = dependency
  if (!valid) return 'a cycle'
  // What may use Node is the matter of source-rules.test.ts: the graph does not tell types from values.
  if (dependencyTypes.includes('core')) return undefined
  if (couldNotResolve) return 'can not be resolved'
  const target = workspaceOf(resolved)
  // Programs for tests only, kept where the tests of the whole product find them too.
  if (resolved.startsWith('test/fixtures/') && testFile.test(source)) return undefined
  if (target === undefined) return judgeOthers(source, workspace, dependency)
  if (testFile.test(resolved) && !testFile.test(source)) return 'code of tests'
  if (target === workspace) return isWalled(source, resolved) ? 'a wall' : undefined
  if (dependency.module.startsWith('.') || !entries.has(resolved)) return 'past the exports'
  return allowances[workspace]?.ours.includes(target) ? undefined : `not allowed in ${workspace}`
}

function judgeOthers(source: string, workspace: string, { module }: Dependency): string | undefined {
  const name = module.split('/', module.startsWith('@') ? 2 : 1).join('/')
  if (testPackages.has(name) && testFile.test(source)) return undefined
  const folder = allowances[workspace]?.others[name]
  return folder?.test(source) ? undefined : `not allowed in ${workspace}`
}

function isWalled(source: string, resolved: string): boolean {
  return walls.some(({ from, to }) => {
    const match = from.exec(source)
    return match !== null && new RegExp(to.replace('$1', match[1] ?? '')).test(resolved)
  })
}

function workspaceOf(path: string): string | undefined {
  return /^(packages|apps)\/[^/]+(?=\/)/.exec(path)?.[0]
}

/** The files that a package offers to others, by its `exports`. */
function entryFiles(base: string, workspace: string): string[] {
  const manifest = readFileSync(join(base, workspace, 'package.json'), 'utf8')
  return [...manifest.matchAll(/"@thv\/source":\s*"\.\/([^"]+)"/g)].map(([, path]) => `${workspace}/${path}`)
}

/** A clone in small with one file per crime, and some good ones. */
function writeBadClone(directory: string): void {
  const files: Record<string, string> = {
    'packages/core/src/index.ts': "export { a } from './domain/a.ts'",
    'packages/core/src/domain/a.ts': 'export const a = 1',
    'packages/core/src/use-cases/u.ts': "import { a } from '../domain/a.ts'\nexport const u = a",
    'packages/core/src/good-type.ts': "import type { Stats } from 'node:fs'\nexport type S = Stats",
    'packages/core/src/schemas/good.ts': "import { z } from 'zod'\nexport const schema = z",
    'packages/core/src/good.test.ts': "import { it } from 'vitest'\nimport 'node:fs'\nit('is', () => {})",
    'packages/core/src/forbidden.ts': "import { p } from '@thv/proxy'\nexport const x = p",
    'packages/core/src/forbidden-type.ts': "import type { P } from '@thv/proxy'\nexport type X = P",
    'packages/core/src/zod-outside.ts': "import { z } from 'zod'\nexport const x = z",
    'packages/core/src/tool.ts': "import { it } from 'vitest'\nexport const x = it",
    'packages/core/src/unresolved.ts': "import { n } from './nowhere.ts'\nexport const x = n",
    'packages/core/src/domain/cycle-a.ts': "import { b } from './cycle-b.ts'\nexport const c = b",
    'packages/core/src/domain/cycle-b.ts': "import { c } from './cycle-a.ts'\nexport const b = c",
    'packages/core/src/testing/fake.ts': 'export const fake = 1',
    'packages/core/src/needs-test.ts': "import { fake } from './testing/fake.ts'\nexport const x = fake",
    'packages/core/src/good-table.ts': "export const load = () => import('./good-lazy.ts')",
    'packages/core/src/good-lazy.ts': "import { load } from './good-table.ts'\nexport const x = load",
    'packages/core/src/domain/wall.ts': "import { u } from '../use-cases/u.ts'\nexport const x = u",
    'packages/proxy/src/index.ts': 'export const p = 1\nexport type P = number',
    'packages/proxy/src/middleware/a/a.ts': "import { b } from '../b/b.ts'\nexport const a = b",
    'packages/proxy/src/middleware/b/b.ts': 'export const b = 1',
    'packages/proxy/src/transport/t.ts': "import { b } from '../middleware/b/b.ts'\nexport const t = b",
    'packages/runner/src/good.ts':
      "import { a } from '@thv/core'\nimport { p } from '@thv/proxy'\nexport const x = [a, p]",
    'packages/adapters/src/processes/p.ts': 'export const p = 1',
    'packages/adapters/src/processes/good.ts':
      "import { a } from '@thv/core'\nimport { p } from './p.ts'\nexport const x = [a, p]",
    'packages/adapters/src/state/deep.ts': "import { a } from '../../../core/src/domain/a.ts'\nexport const x = a",
    'packages/adapters/src/state/family.ts': "import { p } from '../processes/p.ts'\nexport const x = p",
    'node_modules/zod/index.js': 'export const z = 1',
    'node_modules/zod/package.json': '{"name":"zod","type":"module","main":"index.js"}',
    'node_modules/vitest/index.js': 'export const it = 1',
    'node_modules/vitest/package.json': '{"name":"vitest","type":"module","main":"index.js"}',
  }
  for (const workspace of Object.keys(allowances)) {
    files[`${workspace}/package.json`] = '{"type":"module","exports":{".":{"@thv/source":"./src/index.ts"}}}'
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  mkdirSync(join(directory, 'node_modules/@thv'))
  for (const name of ['core', 'proxy']) {
    symlinkSync(join(directory, 'packages', name), join(directory, 'node_modules/@thv', name), 'junction')
  }
}
