import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { connectV1, connectV2, type Peer } from './clients.ts'
import { eventually, fixture, openWorld, type ListedWorkload, type World } from './harness.ts'

const names = Array.from({ length: 10 }, (_none, index) => `w${index}`)
const listedMs = 2_000

let world: World
let api: ApiProcess
const callers: Caller[] = []

/** A client that calls without a pause. */
interface Caller {
  calls: number
  failures: string[]
  stop(): Promise<void>
}

beforeAll(async () => {
  world = await openWorld()
  api = await startApi(world)
  // The API runs packages and images; a local command is started beside it and is its workload all the same.
  for (const name of names) await world.ok('run', '--name', name, '--', ...fixture('stdio-server.mjs'))
  for (const { name } of await list()) await api.call('POST', `/workloads/${name}/restart`)
  for (const name of names) await api.reaches(name, 'running')
})

afterAll(async () => {
  await Promise.all(callers.map(async (caller) => await caller.stop()))
  await api?.end()
  await world.close()
})

describe('an API server that is killed under ten workloads', () => {
  it('is noticed by no client, and the next one lists all ten within 2 s', async () => {
    const before = await list()
    expect(before.map(({ name }) => name)).toEqual(names)
    for (const [index, { url }] of before.entries()) callers.push(await startCaller(url, index))
    for (let round = 0; round < 3; round += 1) {
      await everyoneCalls(20)
      api.process.kill('SIGKILL')
      await once(api.process, 'exit')
      await everyoneCalls(20)
      const started = performance.now()
      api = await startApi(world)
      const after = await list()
      expect(performance.now() - started).toBeLessThan(listedMs)
      // Status, URL, port, times and supervisor: nothing was started again.
      expect(after).toEqual(before)
    }
    await everyoneCalls(20)
    expect(callers.flatMap(({ failures }) => failures)).toEqual([])
    // The new server owns them as the old one did.
    expect((await api.call('DELETE', '/workloads/w9')).status).toBe(202)
    await eventually('w9 is gone', 30_000, async () => ((await list()).length === 9 ? true : undefined))
  })
})

async function list(): Promise<ListedWorkload[]> {
  const answer = await api.call('GET', '/workloads?all=true')
  return answer.json<{ workloads: ListedWorkload[] }>().workloads
}

/** Each client on a session of its own, which a proxy that was started again would not know. */
async function startCaller(url: string, index: number): Promise<Caller> {
  const peer: Peer = await (index % 2 === 0 ? connectV1 : connectV2)(url)
  const stopping = new AbortController()
  const caller: Caller = {
    calls: 0,
    failures: [],
    stop: async () => {
      stopping.abort()
      await running
      await peer.close()
    },
  }
  const call = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const message = `${index}-${caller.calls}`
      try {
        const said = await peer.text('echo', { message })
        if (said !== message) caller.failures.push(`asked ${message}, got ${said}`)
      } catch (error) {
        caller.failures.push(String(error))
        return
      }
      caller.calls += 1
      // As fast as a client that thinks: ten in a closed loop would leave no processor for the server that starts.
      await new Promise((wake) => {
        setTimeout(wake, 10)
      })
    }
  }
  const running = call()
  return caller
}

/** Waits until each client has made so many more calls. */
async function everyoneCalls(more: number): Promise<void> {
  const wanted = callers.map(({ calls }) => calls + more)
  await eventually('every client goes on', 30_000, async () => {
    const failures = callers.flatMap((caller) => caller.failures)
    if (failures.length > 0) throw new Error(failures.join('; '))
    return await Promise.resolve(callers.every(({ calls }, index) => calls >= (wanted[index] ?? 0)) ? true : undefined)
  })
}
