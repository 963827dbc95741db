import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import {
  installConformanceTool,
  runSuite,
  type ConformanceTool,
  type Outcome,
  type Suite,
} from './conformance-tool.ts'
import { openWorld, root, type World } from './harness.ts'

const legacyFrozen: Suite = { name: 'active', version: 'frozen', flags: ['--suite', 'active'], passed: 40 }
const legacy: Suite = requirements('2025-11-25', 84)
const modern: Suite = requirements('2026-07-28', 164)

/** A fixture server behind a proxy, by transport and era, and the suites that its clients may expect to pass. */
const servers: { name: string; suites: Suite[] }[] = [
  { name: 'stdio dual', suites: [legacyFrozen, legacy, modern] },
  { name: 'http dual', suites: [legacyFrozen, legacy, modern] },
  { name: 'stdio legacy', suites: [legacy, modern] },
  { name: 'stdio modern', suites: [legacy, modern] },
  { name: 'http legacy', suites: [legacy, modern] },
  { name: 'http modern', suites: [legacy, modern] },
]

/** A difference that is known and wanted. `checks` holds `scenario > check`, where `scenario > *` means all of it. */
interface Excuse {
  server: string
  suite: string
  checks: string[]
  reason: string
}

const { excuses }: { excuses: Excuse[] } = JSON.parse(
  readFileSync(join(root, 'test/conformance/excused.json'), 'utf8'),
)

let world: World
let tool: ConformanceTool | string
let directly: { process: ChildProcess; url: string }
let urls: Map<string, Promise<string>>
const direct = new Map<Suite, Promise<Outcome>>()

beforeAll(async () => {
  world = await openWorld()
  tool = await installConformanceTool()
  directly = await startDirectly()
  urls = new Map(servers.map(({ name }) => [name, startBehindProxy(name)]))
  // A server that does not start fails its own tests only.
  await Promise.allSettled(urls.values())
})

afterAll(async () => {
  directly.process.kill()
  await world.close()
})

describe.each([legacyFrozen, legacy, modern])('the suite $name', (suite) => {
  it('is passed by the fixture itself', async (ctx) => {
    const outcome = await outcomeDirectly(installed(ctx), suite)
    const failed = [...outcome].filter(([check, status]) => /FAILURE|WARNING/.test(status) && !isTaskCheck(check))
    expect(failed).toEqual([])
    expect([...outcome.values()].filter((status) => status === 'SUCCESS')).toHaveLength(suite.passed)
  })
})

describe.each(servers)('behind the proxy, $name', ({ name, suites }) => {
  it.for(suites)('passes of $name what it passes directly', async (suite, ctx) => {
    const program = installed(ctx)
    const expected = await outcomeDirectly(program, suite)
    const proxied = await runSuite(program, suite, await urls.get(name)!)
    const worse = worseThan(expected, proxied)
    const known = excuses.filter((excuse) => excuse.server === name && excuse.suite === suite.name)
    const entries = known.flatMap((excuse) => excuse.checks)
    expect(worse.filter((check) => !entries.some((entry) => covers(entry, check)))).toEqual([])
    const stale = entries.filter((entry) => !worse.some((check) => covers(entry, check)))
    expect(stale, 'these checks pass again, or are gone; remove them from excused.json').toEqual([])
  })
})

function requirements(revision: string, passed: number): Suite {
  return { name: revision, version: 'next', flags: ['--requirements', revision], passed }
}

function installed(ctx: TestContext): ConformanceTool {
  if (typeof tool === 'string') ctx.skip(`missing: the conformance tool (${tool})`)
  return tool as ConformanceTool
}

async function outcomeDirectly(program: ConformanceTool, suite: Suite): Promise<Outcome> {
  const outcome = direct.get(suite) ?? runSuite(program, suite, directly.url)
  direct.set(suite, outcome)
  return await outcome
}

/** What passed directly and does not here, and what fails here only. */
function worseThan(expected: Outcome, proxied: Outcome): string[] {
  const lost = [...expected].filter(([check, status]) => status === 'SUCCESS' && proxied.get(check) !== 'SUCCESS')
  const failed = [...proxied].filter(
    ([check, status]) => /FAILURE|WARNING/.test(status) && status !== expected.get(check),
  )
  return [...new Set([...lost, ...failed].map(([check]) => check))].toSorted()
}

function covers(entry: string, check: string): boolean {
  return entry.endsWith(' > *') ? check.startsWith(entry.slice(0, -1)) : check === entry
}

/** The extension for tasks is optional; the tool runs its scenarios and does not count them. */
function isTaskCheck(check: string): boolean {
  return check.startsWith('tasks-')
}

async function startDirectly(): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, fixtureArgs('http dual'), { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url]: string[] = await once(createInterface({ input: child.stdout }), 'line')
  return { process: child, url: url! }
}

async function startBehindProxy(name: string): Promise<string> {
  const workload = name.replace(' ', '-')
  const transport = name.startsWith('http') ? ['--transport', 'streamable-http'] : []
  await world.ok('run', '--name', workload, ...transport, '--', process.execPath, ...fixtureArgs(name))
  return (await world.list()).find((listed) => listed.name === workload)!.url
}

function fixtureArgs(name: string): string[] {
  return [join(root, 'test/fixtures/conformance/main.mjs'), ...name.split(' ')]
}
