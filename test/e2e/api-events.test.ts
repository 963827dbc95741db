import { once } from 'node:events'
import { appendFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Operation, Workload } from '@thv/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readEvents, type EventReader, type ReceivedEvent } from '../../apps/thv/src/api/fixtures/event-reader.ts'
import { startApi, type ApiProcess } from './api-server.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'

/** `stateLimits.statusRescanMs`, and time for a busy machine. */
const noticeMs = 2_000 + 1_500

let world: World
let api: ApiProcess
let statuses: string
const readers: EventReader[] = []

beforeAll(async () => {
  world = await openWorld()
  api = await startApi(world)
  statuses = join(world.directory, 'data/toolhive/statuses')
})

afterEach(() => {
  for (const reader of readers.splice(0)) reader.close()
})

afterAll(async () => {
  await api?.end()
  await world.close()
})

async function listen(query = '', headers: Record<string, string> = {}): Promise<EventReader> {
  const reader = await readEvents(`${api.origin}/api/v1beta/events${query}`, headers)
  readers.push(reader)
  return reader
}

/** Writes a status as another process would: whole, by rename. */
async function setStatus(name: string, status: string, context: string): Promise<void> {
  const now = new Date().toISOString()
  const record = { status, status_context: context, created_at: now, updated_at: now, process_id: 0 }
  await mkdir(statuses, { recursive: true })
  const path = join(statuses, `${name}.json`)
  await writeFile(`${path}.new`, JSON.stringify(record))
  await rename(`${path}.new`, path)
}

const statusIs =
  (wanted: string) =>
  ({ event, data }: ReceivedEvent): boolean =>
    event === 'workload' && data.workload.status === wanted

describe('events', () => {
  it('tell how a workload comes, dies of kill -9, and goes', async () => {
    const reader = await listen('?workload=one&kind=workload')
    expect((await reader.next()).event).toBe('snapshot')
    await world.ok('run', '--name', 'one', '--', ...fixture('stdio-server.mjs'))
    const added = await reader.next()
    expect(added.data).toMatchObject({ change: 'added', workload: { name: 'one', status: 'starting' } })
    const running = await reader.next(statusIs('running'))
    process.kill(running.data.workload.supervisor_pid, 'SIGKILL')
    const before = performance.now()
    const { data } = await reader.next(statusIs('unhealthy'))
    expect(performance.now() - before).toBeLessThan(noticeMs)
    expect(data).toMatchObject({
      change: 'changed',
      previous: { status: 'running' },
      workload: { status_context: expect.stringContaining('proxy process not running') },
    })
    await world.ok('rm', 'one')
    await reader.next(({ data: { change } }) => change === 'removed')
  })

  it('reach 100 subscribers', async () => {
    const many = await Promise.all(Array.from({ length: 100 }, async () => await listen('?workload=many')))
    await Promise.all(many.map(async (reader) => await reader.next()))
    await setStatus('many', 'error', 'for all')
    const told = await Promise.all(many.map(async (reader) => await reader.next()))
    expect(new Set(told.map(({ id, data }) => `${id} ${data.workload.status_context}`)).size).toBe(1)
    await rm(join(statuses, 'many.json'))
  })

  it('are made up for after a lost connection', async () => {
    const first = await listen('?workload=lost')
    await first.next()
    await setStatus('lost', 'error', '1')
    const { id = '' } = await first.next()
    first.close()
    const other = await listen()
    await setStatus('lost', 'error', '2')
    await other.next(({ data }) => data.workload?.status_context === '2')
    const again = await listen('?workload=lost', { 'Last-Event-ID': id })
    expect((await again.next()).data).toMatchObject({ change: 'changed', workload: { status_context: '2' } })
    await rm(join(statuses, 'lost.json'))
  })

  it('are not kept for a client that does not read: it is told to come back', async () => {
    const slow = await openStuck('/api/v1beta/events?workload=big')
    const quick = await listen('?workload=big')
    await quick.next()
    // More than the sockets on both sides and the backlog hold.
    for (let index = 0; index < 150; index += 1) {
      await setStatus('big', 'error', `${index} ${'x'.repeat(100_000)}`)
      await quick.next(({ data }) => data.workload.status_context.startsWith(`${index} `))
    }
    let text = ''
    slow.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-1_000)
    })
    slow.resume()
    await once(slow, 'end')
    expect(text).toContain('event: end\ndata: {"reason":"too-slow"')
    slow.destroy()
    await rm(join(statuses, 'big.json'))
  })
})

it('an operation is told and shown with its progress, and waited for', async () => {
  const reader = await listen('?kind=operation')
  await reader.next()
  const body = { name: 'two', image: 'npx://@modelcontextprotocol/server-everything' }
  const created = await api.call('POST', '/workloads', body)
  const id = created.headers.get('x-thv-operation-id') ?? ''
  const shown = (await api.call('GET', `/operations/${id}?wait=50`)).json<Operation>()
  expect(shown).toMatchObject({ id, kind: 'create', subjects: ['two'], state: 'succeeded' })
  expect(shown.progress).toContainEqual(expect.stringContaining('server-everything'))
  expect((await reader.next()).data).toMatchObject({ change: 'begun', operation: { id } })
  expect((await reader.next()).data).toMatchObject({ change: 'progress', line: shown.progress[0] })
  await reader.next(({ data }) => data.change === 'ended')
  await world.ok('rm', 'two')
})

describe('a followed log', () => {
  it('goes on as it is written, survives a rotation, and ends with its workload', async () => {
    await world.ok('run', '--name', 'logged', '--', ...fixture('stdio-server.mjs'))
    const path = join(world.directory, 'data/toolhive/logs/logged.log')
    const answer = await fetch(`${api.origin}/api/v1beta/workloads/logged/proxy-logs?follow=true`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
    let text = ''
    const ended = (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true })
    })()
    await appendFile(path, 'a line\n')
    await eventually('the line', 5_000, async () => (text.includes('a line\n') ? true : undefined))
    await rename(path, `${path}.1`)
    await writeFile(path, 'after the rotation\n')
    await eventually('the next file', 5_000, async () => (text.includes('after the rotation\n') ? true : undefined))
    await world.ok('rm', 'logged')
    await ended
  })

  it('of a workload that does not exist is not found, and without the parameter nothing is new', async () => {
    expect((await api.call('GET', '/workloads/none/logs?follow=true')).status).toBe(404)
    await setStatus('quiet', 'stopped', '')
    const plain = await api.call('GET', '/workloads/quiet/logs')
    expect([plain.status, plain.text]).toEqual([200, ''])
    await rm(join(statuses, 'quiet.json'))
  })
})

it('a list is given in pages when they are asked for', async () => {
  const all = ['p1', 'p2', 'p3']
  await Promise.all(all.map(async (name) => await setStatus(name, 'stopped', '')))
  const names = async (query: string): Promise<[string[], string | null]> => {
    const answer = await api.call('GET', `/workloads?all=true${query}`)
    const { workloads } = answer.json<{ workloads: Workload[] }>()
    return [workloads.map(({ name }) => name), answer.headers.get('x-thv-next')]
  }
  expect(await names('')).toEqual([all, null])
  expect(await names('&limit=2')).toEqual([['p1', 'p2'], 'p2'])
  expect(await names('&limit=2&after=p2')).toEqual([['p3'], null])
  expect((await api.call('GET', '/workloads?limit=0')).status).toBe(400)
  await Promise.all(all.map(async (name) => await rm(join(statuses, `${name}.json`))))
})

it('the end of the server ends open streams at once, also of clients that do not read', async () => {
  await setStatus('last', 'stopped', '')
  const reader = await listen()
  await reader.next()
  const followed = await fetch(`${api.origin}/api/v1beta/workloads/last/logs?follow=true`)
  const stuck = await openStuck('/api/v1beta/events?workload=last')
  for (let index = 0; index < 120; index += 1) {
    await setStatus('last', 'error', `${index} ${'x'.repeat(100_000)}`)
    await reader.next(({ data }) => data.workload?.status_context?.startsWith(`${index} `))
  }
  const before = performance.now()
  expect(await api.end()).toBe(0)
  expect(performance.now() - before).toBeLessThan(5_000)
  expect((await reader.next(({ event }) => event === 'end')).data.reason).toBe('closing')
  await reader.ended
  expect(await followed.text()).toBe('')
  stuck.destroy()
  await rm(join(statuses, 'last.json'))
})

/** A client that asks, sees the answer begin, and reads no more. */
async function openStuck(path: string): Promise<Socket> {
  const { hostname, port } = new URL(api.origin)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\n\r\n`)
  await once(socket, 'data')
  socket.pause()
  return socket
}
