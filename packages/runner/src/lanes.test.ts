import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import type { Deployment, ServerExit, ServerIdentity } from '@thv/core'
import { Lanes } from './lanes.ts'

const never = new AbortController().signal
const command = {
  name: 'a',
  command: ['/bin/a'] as const,
  environment: {},
  workingDirectory: '/',
  transport: 'stdio' as const,
}

/** One process that was started. */
interface FakeServer {
  exit: (exit: ServerExit) => void
  /** The time each stop was given. */
  stops: number[]
}

function setUp(record: (pids: number[]) => Promise<void> = async () => {}) {
  const servers: FakeServer[] = []
  const recorded: number[][] = []
  const lines: string[] = []
  const logs: string[] = []
  const runtime = {
    kind: 'process' as const,
    deploy: async (): Promise<Deployment> => {
      let exit: FakeServer['exit'] = () => {}
      const exited = new Promise<ServerExit>((resolve) => {
        exit = resolve
      })
      const server: FakeServer = { exit, stops: [] }
      servers.push(server)
      return {
        server: { pid: servers.length, started: 's', group: servers.length, marker: 'm' },
        isolation: 'none',
        stdio: { input: new PassThrough(), output: new PassThrough() },
        exited,
        lastStderr: () => [],
        stop: async (withinMs) => {
          server.stops.push(withinMs)
          exit({ code: null, signal: 'SIGTERM' })
        },
      }
    },
  }
  const clock = { now: () => new Date(0), monotonicMs: () => 0, sleep: async () => {} }
  const reporter = {
    recordLanes: async (processes: readonly ServerIdentity[]) => {
      const pids = processes.map((server) => ('pid' in server ? server.pid : 0))
      await record(pids)
      recorded.push(pids)
    },
  }
  const log = (_level: string, message: string): void => void logs.push(message)
  const lanes = new Lanes({ runtime, clock, log, writeServerLine: (line) => void lines.push(line) }, reporter)
  return { lanes, servers, recorded, logs }
}

it('opens nothing before it knows what, and nothing once the end was announced', async () => {
  const { lanes, servers } = setUp()
  await expect(lanes.open(never)).rejects.toMatchObject({ code: 'workload-busy' })
  lanes.use(command)
  lanes.limit(100)
  await expect(lanes.open(never)).rejects.toMatchObject({ code: 'workload-busy' })
  expect(servers).toEqual([])
})

it('has a process in the record from before it is handed out until it has ended', async () => {
  const { lanes, servers, recorded } = setUp()
  lanes.use(command)
  const [first, second] = [await lanes.open(never), await lanes.open(never)]
  expect(recorded).toEqual([[1], [1, 2]])
  servers[0]!.exit({ code: 3, signal: null })
  expect(await first.ended).toBe('the server exited with code 3')
  await second.close()
  await lanes.close()
  expect(recorded.at(-1)).toEqual([])
})

it('ends all of them in parallel, each within what is left of the stop', async () => {
  const { lanes, servers } = setUp()
  lanes.use(command)
  await Promise.all([lanes.open(never), lanes.open(never), lanes.open(never)])
  lanes.limit(700)
  await lanes.close()
  expect(servers.map(({ stops }) => stops)).toEqual([[700], [700], [700]])
})

it('ends one that is being started while the workload ends', async () => {
  const { lanes, servers } = setUp()
  lanes.use(command)
  const opening = lanes.open(never)
  await lanes.close()
  expect(servers.map(({ stops }) => stops.length)).toEqual([1])
  expect(await (await opening).ended).toBe('the server was killed by SIGTERM')
})

it('a record that cannot be written costs no client its server', async () => {
  const { lanes, logs } = setUp(() => Promise.reject(new Error('no space left')))
  lanes.use(command)
  await lanes.open(never)
  expect(logs).toContain('the servers of single clients could not be recorded')
  await lanes.close()
})
