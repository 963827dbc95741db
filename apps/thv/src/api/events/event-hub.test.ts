import { setMaxListeners } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createFileRunConfigStore,
  createFileStatusStore,
  createFileStatusWatch,
  createProcessTable,
} from '@thv/adapters'
import type { StatusRecord, WatchWorkloadsDeps } from '@thv/core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { apiLimits } from '../api-limits.ts'
import { createTestDeps } from '../fixtures/api-deps.ts'
import { readEvents, type EventReader } from '../fixtures/event-reader.ts'
import { Operations } from '../operations.ts'
import { eventRoutes } from '../routes/events.ts'
import { createApiServer, type ApiServer } from '../server.ts'
import { EventHub } from './event-hub.ts'

const rescanMs = 50
let data = ''
let server: ApiServer | undefined
let readers: EventReader[] = []

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'thv-events-'))
})

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  await server?.close()
  server = undefined
  await rm(data, { recursive: true })
})

function recordOf(status: StatusRecord['status'], context = ''): StatusRecord {
  const now = new Date().toISOString()
  return { status, status_context: context, created_at: now, updated_at: now, process_id: 0 }
}

/** A hub over real files, how many watches it has, and a server that shows it. */
async function open() {
  const processes = createProcessTable()
  const statuses = createFileStatusStore({ dataDirectory: data, processes })
  const files = createFileStatusWatch({ dataDirectory: data, rescanMs })
  const watches = { begun: 0, open: 0 }
  const watching = async (): Promise<WatchWorkloadsDeps> => ({
    configs: createFileRunConfigStore({ stateDirectory: data }),
    statuses,
    processes,
    statusWatch: {
      watch: (changed, signal) => {
        watches.begun += 1
        watches.open += 1
        signal.addEventListener('abort', () => (watches.open -= 1), { once: true })
        files.watch(changed, signal)
      },
    },
  })
  const log = (): void => {}
  const operations = new Operations(log)
  const hub = new EventHub({ run: 'run', operations, watching, findTrouble: async () => undefined, log })
  server = createApiServer({
    targets: [{ host: '127.0.0.1', port: 0 }],
    routes: eventRoutes,
    deps: createTestDeps({ operations, events: hub }),
  })
  const [url = ''] = await server.start()
  const set = async (name: string, record: StatusRecord | 'delete'): Promise<void> => {
    await statuses.update(name, () => record, AbortSignal.timeout(5_000))
  }
  const listen = async (query = '', headers: Record<string, string> = {}): Promise<EventReader> => {
    const reader = await readEvents(`${url}/api/v1beta/events${query}`, headers)
    readers.push(reader)
    return reader
  }
  return { hub, operations, set, listen, watches }
}

it('a stream begins with a snapshot and tells what is added, changes and goes, with the reason', async () => {
  const { set, listen } = await open()
  await set('old', recordOf('stopped'))
  const reader = await listen()
  const { event, data } = await reader.next()
  expect([event, data.workloads.map(({ name }: { name: string }) => name)]).toEqual(['snapshot', ['old']])
  expect([data.operations, data.health]).toEqual([[], { healthy: true }])
  const [failed, stopped] = [recordOf('error', 'it fell over'), recordOf('stopped')]
  await set('new', failed)
  expect((await reader.next()).data).toMatchObject({
    change: 'added',
    workload: { name: 'new', status: 'error', status_context: 'it fell over', reason: 'failed' },
  })
  await set('new', stopped)
  expect((await reader.next()).data).toMatchObject({
    change: 'changed',
    workload: { name: 'new', status: 'stopped', reason: 'stopped', since: stopped.updated_at },
    previous: { status: 'error', reason: 'failed', since: failed.updated_at },
  })
  await set('old', 'delete')
  expect((await reader.next()).data).toMatchObject({ change: 'removed', workload: { name: 'old' } })
})

it('whoever comes back gets exactly what was missed, also of the time when nobody listened', async () => {
  const { set, listen, watches } = await open()
  const first = await listen()
  await first.next()
  await set('a', recordOf('stopped'))
  const { id = '' } = await first.next()
  await set('b', recordOf('stopped'))
  await first.next()
  first.close()
  await expect.poll(() => watches.open).toBe(0)
  await set('b', 'delete')
  const again = await listen('', { 'Last-Event-ID': id })
  const missed = [await again.next(), await again.next()]
  expect(missed.map(({ data }) => [data.change, data.workload.name])).toEqual([
    ['added', 'b'],
    ['removed', 'b'],
  ])
})

it('whoever has an id that is not known any more is told, and begins anew', async () => {
  const { listen } = await open()
  for (const id of ['other-1', 'run-99', 'run--1', 'nothing']) {
    const reader = await listen('', { 'Last-Event-ID': id })
    expect([(await reader.next()).event, (await reader.next()).event]).toEqual(['reset', 'snapshot'])
  }
})

it('there is one watch for all streams, and none when nobody listens', async () => {
  const { listen, watches } = await open()
  expect(watches.begun).toBe(0)
  const several = await Promise.all(Array.from({ length: 5 }, async () => await listen()))
  await Promise.all(several.map(async (reader) => await reader.next()))
  expect(watches).toEqual({ begun: 1, open: 1 })
  for (const reader of several) reader.close()
  await expect.poll(() => watches.open).toBe(0)
})

it('a client gets only the workload, the group and the kinds it asks for', async () => {
  const { set, listen, operations } = await open()
  await mkdir(join(data, 'runconfigs'))
  const config = {
    schema_version: 'v0.1.0',
    name: 'b',
    image: 'x',
    transport: 'stdio',
    host: '127.0.0.1',
    port: 1,
    group: 'g',
  }
  await writeFile(join(data, 'runconfigs', 'b.json'), JSON.stringify({ ...config, permission_profile: null }))
  await Promise.all([set('a', recordOf('stopped')), set('b', recordOf('stopped'))])
  const ofWorkload = await listen('?workload=a&kind=workload')
  const ofGroup = await listen('?group=g')
  const ofKind = await listen('?kind=operation')
  const names = async (reader: EventReader): Promise<unknown> =>
    (await reader.next()).data.workloads?.map(({ name }: { name: string }) => name)
  expect([await names(ofWorkload), await names(ofGroup), await names(ofKind)]).toEqual([['a'], ['b'], undefined])
  await set('b', recordOf('error'))
  await ofGroup.next()
  await set('a', recordOf('error'))
  operations.begin({ kind: 'stop', subjects: ['b'], work: async () => {} })
  expect((await ofWorkload.next()).data.workload.name).toBe('a')
  expect((await ofGroup.next()).event).toBe('operation')
  expect((await ofKind.next()).event).toBe('operation')
  for (const query of ['?kind=nothing', '?workload=..', '?group=A']) expect((await listen(query)).status).toBe(400)
})

it('operations are told from their beginning to their end', async () => {
  const { operations, listen } = await open()
  const reader = await listen()
  await reader.next()
  const { id } = operations.begin({
    kind: 'create',
    subjects: ['a'],
    work: async ({ progress }) => progress('pulling'),
  })
  const told = [await reader.next(), await reader.next(), await reader.next()].map(({ data }) => data)
  expect(told.map(({ change, line, operation }) => [change, line, operation.id, operation.state])).toEqual([
    ['begun', undefined, id, 'running'],
    ['progress', 'pulling', id, 'running'],
    ['ended', undefined, id, 'succeeded'],
  ])
})

it('that workloads cannot be looked at is told, and when they can again', async () => {
  const { listen } = await open()
  const reader = await listen()
  await reader.next()
  await writeFile(join(data, 'statuses'), 'no directory')
  expect((await reader.next()).data).toMatchObject({ healthy: false, reason: expect.stringContaining('statuses') })
  await rm(join(data, 'statuses'))
  expect((await reader.next()).data).toEqual({ healthy: true })
})

it('the end of the server ends a stream at once', async () => {
  const { listen } = await open()
  const reader = await listen()
  await reader.next()
  const before = performance.now()
  await server?.close()
  expect((await reader.next()).data).toMatchObject({ reason: 'closing' })
  await reader.ended
  expect(performance.now() - before).toBeLessThan(1_000)
})

it('one stream too many is refused, and taken when another has gone', async () => {
  const { hub } = await open()
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  const ask = async (): Promise<ReadableStream> => await hub.open({ filter: {} }, signal, signal)
  const streams = await Promise.all(Array.from({ length: apiLimits.eventStreams }, ask))
  await expect(ask()).rejects.toMatchObject({ code: 'server-busy' })
  await streams.pop()?.cancel()
  streams.push(await ask())
  await Promise.all(streams.map(async (stream) => await stream.cancel()))
})
