import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { installConformanceTool, runSuite, type ConformanceTool, type Outcome, type Suite } from './conformance-tool.ts'
import { openWorld, root, type World } from './harness.ts'

const legacyFrozen: Suite = { name: 'active', version: 'frozen', flags: ['--suite', 'active'], passed: 40 }
const legacy: Suite = requirements('2025-11-25', 84)
const modern: Suite = requirements('2026-07-28', 164)

/** One suite against a fixture server behind the proxy. */
interface Run {
  /** Transport and era of the server. */
  server: string
  suite: Suite
}

const runs: Run[] = [
  { server: 'stdio dual', suite: legacyFrozen },
  { server: 'stdio dual', suite: legacy },
  { server: 'stdio dual', suite: modern },
  { server: 'http dual', suite: legacyFrozen },
  { server: 'http dual', suite: legacy },
  { server: 'http dual', suite: modern },
  { server: 'stdio legacy', suite: modern },
  { server: 'stdio modern', suite: legacy },
  { server: 'stdio modern', suite: modern },
  { server: 'http legacy', suite: modern },
  { server: 'http modern', suite: legacy },
  { server: 'http modern', suite: modern },
]

/** A difference that is known and wanted. `checks` holds `scenario > check`, where `scenario > *` means all of it. */
interface Excuse {
  servers: string[]
  suite: string
  checks: string[]
  reason: string
}

const { excuses }: { excuses: Excuse[] } = JSON.parse(readFileSync(join(root, 'test/conformance/excused.json'), 'utf8'))

let world: World
let tool: ConformanceTool | string
let directly: { process: ChildProcess; url: string }
const urls = new Map<string, Promise<string>>()
const direct = new Map<Suite, Promise<Outcome>>()

beforeAll(async () => {
  world = await openWorld()
  tool = await installConformanceTool()
  directly = await startDirectly()
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

describe('behind the proxy', () => {
  it.for(runs)(
    'the server $server passes of $suite.name what it passes directly',
    { timeout: 300_000 },
    async (run, ctx) => {
      const program = installed(ctx)
      const expected = await outcomeDirectly(program, run.suite)
      const worse = worseThan(expected, await runSuite(program, run.suite, await urlOf(run.server)))
      const known = excuses.filter(({ servers, suite }) => servers.includes(run.server) && suite === run.suite.name)
      const entries = known.flatMap(({ checks }) => checks)
      expect(worse.filter((check) => !entries.some((entry) => covers(entry, check)))).toEqual([])
      const stale = entries.filter((entry) => !worse.some((check) => covers(entry, check)))
      expect(stale, 'these checks pass again, or are gone; remove them from excused.json').toEqual([])
    },
  )

  it('excuses nothing of a run that there is not', () => {
    const isRun = (server: string, suite: string) =>
      runs.some((run) => run.server === server && run.suite.name === suite)
    const named = excuses.flatMap(({ servers, suite }) => servers.map((server) => [server, suite] as const))
    expect(named.filter(([server, suite]) => !isRun(server, suite))).toEqual([])
  })
})

function requirements(revision: string, passed: number): Suite {
  return { name: revision, version: 'next', flags: ['--requirements', revision], passed }
}

function installed(ctx: TestContext): ConformanceTool {
  if (typeof tool === 'string') ctx.skip(`missing: the conformance tool (${tool})`)
  return tool
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

/** A server that does not start fails its own runs only. */
async function urlOf(server: string): Promise<string> {
  const url = urls.get(server) ?? startBehindProxy(server)
  urls.set(server, url)
  return await url
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
