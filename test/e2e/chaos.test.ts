import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startRawClient, startSdkClient, type ChaosClient, type Outcome } from './chaos-client.ts'
import { generations } from './clients.ts'
import { eventually, fixture, openWorld, root, type World } from './harness.ts'

let world: World
let behind: ChildProcess
let urls: Record<string, string>

const rawClients = 17
const rounds = 3
const calmMs = 700

beforeAll(async () => {
  world = await openWorld()
  const port = await freePort()
  const [node, ...file] = fixture('http-server.mjs')
  const environment = { ...process.env, MCP_PORT: String(port), MCP_HOST: '127.0.0.1' }
  behind = spawn(node ?? '', file, { cwd: root, env: environment, stdio: 'ignore' })
  const relay = fixture('cutting-relay.mjs', String(port))
  await Promise.all([
    world.ok('run', '--name', 'stdio', '--', ...fixture('stdio-server.mjs')),
    // A strike is a signal to the relay itself, and in a sandbox the pid of the status is bubblewrap's.
    world.ok('run', '--name', 'http', '--isolation', 'none', '--transport', 'streamable-http', '--', ...relay),
  ])
  urls = Object.fromEntries((await world.list()).map((workload) => [workload.name, workload.url]))
})

afterAll(async () => {
  behind.kill('SIGKILL')
  await world.close()
})

/** What is done to a workload while its clients call. */
interface Fault {
  readonly what: string
  readonly workload: 'stdio' | 'http'
  /** Kinds of endings that the fault excuses, beside right answers and honest refusals. */
  readonly excuses: readonly Outcome['kind'][]
  readonly strike: () => Promise<void>
}

const supervisorFaults: readonly Fault[] = [
  {
    what: 'its supervisor is killed and started again',
    workload: 'stdio',
    excuses: ['cut', 'refused'],
    strike: async () => await restartSupervisor('stdio'),
  },
  {
    what: 'its supervisor and its HTTP server are killed at once, and started again',
    workload: 'http',
    excuses: ['cut', 'refused'],
    strike: async () => {
      process.kill(await serverPid('http'), 'SIGKILL')
      await restartSupervisor('http')
    },
  },
]

const faults: readonly Fault[] = [
  { what: 'its server is killed', workload: 'stdio', excuses: [], strike: async () => await killServer('stdio') },
  {
    what: 'its HTTP server is killed',
    workload: 'http',
    excuses: ['cut'],
    strike: async () => await killServer('http'),
  },
  {
    what: 'the connections to its HTTP server are cut half-way',
    workload: 'http',
    excuses: ['cut'],
    strike: async () => void process.kill(await serverPid('http'), 'SIGUSR2'),
  },
  ...supervisorFaults,
]

describe('twenty clients that call without a pause', () => {
  it.each(faults)('get their own answers or the truth when $what', async ({ workload, excuses, strike, what }) => {
    const clients = await startClients(urls[workload] ?? '', workload)
    const strikes: number[] = []
    try {
      for (let round = 0; round < rounds; round += 1) {
        await rightAnswers(clients, performance.now() + calmMs)
        strikes.push(performance.now())
        await strike()
        await rightAnswers(clients, performance.now())
      }
    } finally {
      await Promise.all(clients.map(async (client) => await client.stop()))
    }
    const outcomes = clients.flatMap((client) => client.outcomes)
    report(what, outcomes, strikes)
    const allowed = new Set<Outcome['kind']>(['right', 'told', ...excuses])
    expect(outcomes.filter(({ kind }) => !allowed.has(kind)).map(({ detail }) => detail)).toEqual([])
    // The same sessions all the time: a client that lost its own would have got a 404, which is none of the above.
    for (const client of clients) expect(client.outcomes.at(-1)?.kind).toBe('right')
  })
})

async function startClients(url: string, name: string): Promise<ChaosClient[]> {
  const raw = Array.from(
    { length: rawClients },
    async (_none, index) => await startRawClient(url, `${name}-raw${index}`),
  )
  const sdk = [...generations, ...generations].slice(0, 20 - rawClients).map(async ([title, connect], index) => {
    return startSdkClient(await connect(url), `${name}-${title}-${index}`)
  })
  return await Promise.all([...raw, ...sdk])
}

/** Waits until every client got a right answer to a call that it sent after the time. */
async function rightAnswers(clients: readonly ChaosClient[], afterMs: number): Promise<void> {
  await eventually('every client is served again', 30_000, async () => {
    const isServed = ({ kind, sentMs }: Outcome): boolean => kind === 'right' && sentMs > afterMs
    return clients.every(({ outcomes }) => outcomes.findLast(isServed) !== undefined) ? true : undefined
  })
}

/** How long no answer came after each fault, from the strike on; printed, because machines differ. */
function report(what: string, outcomes: readonly Outcome[], strikes: readonly number[]): void {
  const right = outcomes.filter(({ kind }) => kind === 'right')
  const times = strikes.map((strikeMs) => {
    const lost = outcomes.filter(({ kind, endedMs }) => kind !== 'right' && endedMs > strikeMs)
    const firstLost = lost.reduce((least, { endedMs }) => Math.min(least, endedMs), Infinity)
    const since = Number.isFinite(firstLost) ? firstLost : strikeMs
    const first = right.reduce(
      (least, { sentMs, endedMs }) => (sentMs > strikeMs && endedMs > since ? Math.min(least, endedMs) : least),
      Infinity,
    )
    return Math.round(first - strikeMs)
  })
  const counts = new Map<string, number>()
  for (const { kind } of outcomes) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const summary = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  process.stdout.write(`chaos: ${what}: ${summary}; served again after ${times.join(', ')} ms\n`)
}

async function serverPid(name: string): Promise<number> {
  const pid = (await world.status(name)).thv?.server?.pid
  if (pid === undefined) throw new Error(`the status of ${name} names no server`)
  return pid
}

/** Kills a server and waits until it is known to be another one, so that the next strike hits that one. */
async function killServer(name: string): Promise<void> {
  const pid = await serverPid(name)
  process.kill(pid, 'SIGKILL')
  await eventually('there is another server', 30_000, async () => {
    const { status, thv } = await world.status(name)
    return status === 'running' && thv?.server?.pid !== pid ? true : undefined
  })
}

async function restartSupervisor(name: string): Promise<void> {
  process.kill((await world.status(name)).process_id, 'SIGKILL')
  await world.ok('start', name)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
