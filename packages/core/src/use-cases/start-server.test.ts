import { beforeEach, expect, test } from 'vitest'
import type { ServerRecord } from '../domain/server-record.ts'
import type { ServerTarget } from '../ports/server-launcher.ts'
import type { ServerRecordRead } from '../ports/server-records.ts'
import { startServer, type StartServerDeps } from './start-server.ts'

const { signal } = new AbortController()
const record = (pid: number): ServerRecord => ({
  url: 'http://127.0.0.1:1',
  pid,
  nonce: 'n',
  started_at: '2026-08-21T10:26:05Z',
})

let stored: ServerRecordRead
let freePorts: boolean[]
let launched: ServerTarget[]
let said: string[]
/** What a spawned server does once it is watched. */
let behave: (server: { announce: (pid: number) => void; exit: () => void }) => void
let deps: StartServerDeps

beforeEach(() => {
  stored = { kind: 'absent' }
  freePorts = []
  launched = []
  said = []
  behave = ({ announce }) => announce(1)
  let exit = (): void => {}
  deps = {
    probe: async () => ({ verified: true }),
    isAlive: async () => true,
    ports: { isFree: async () => freePorts.shift() ?? true },
    records: {
      read: async () => stored,
      watch: (changed) => {
        const announce = (pid: number): void => {
          stored = { kind: 'record', record: record(pid) }
          changed()
        }
        queueMicrotask(() => behave({ announce, exit }))
      },
    },
    launcher: {
      launch: async (target) => {
        launched.push(target)
        const ended = new AbortController()
        exit = () => ended.abort()
        return {
          pid: launched.length,
          ended: ended.signal,
          words: async () => ['its last word'],
          end: async () => void said.push('ended'),
          release: () => void said.push('released'),
        }
      },
    },
  }
})

test('a server that runs is enough', async () => {
  stored = { kind: 'record', record: record(9) }
  expect(await startServer(deps, { withDocument: false }, signal)).toEqual({ record: record(9), isNew: false })
  expect(launched).toEqual([])
})

test('without a port it is 8080, and the server is left to itself once it has announced itself', async () => {
  expect(await startServer(deps, { withDocument: true }, signal)).toEqual({ record: record(1), isNew: true })
  expect([launched, said]).toEqual([[{ port: 8080, withDocument: true }], ['released']])
})

test('when 8080 is taken it is any free port', async () => {
  freePorts = [false]
  await startServer(deps, { withDocument: false }, signal)
  expect(launched).toEqual([{ port: 0, withDocument: false }])
})

test('also when it was taken between the look and the start', async () => {
  freePorts = [true, false]
  behave = ({ announce, exit }) => (launched.length === 1 ? exit() : announce(2))
  expect(await startServer(deps, { withDocument: false }, signal)).toEqual({ record: record(2), isNew: true })
  expect(launched.map(({ port }) => port)).toEqual([8080, 0])
})

test('a port that the user names is not exchanged, and the last words of the server are told', async () => {
  behave = ({ exit }) => exit()
  await expect(startServer(deps, { port: 7, withDocument: false }, signal)).rejects.toMatchObject({
    code: 'api-server-start-failed',
    detail: ['its last word'],
  })
  expect([launched.length, said]).toEqual([1, ['ended']])
})

test('whoever is beaten by another start gets the record of that one, once its own server has gone', async () => {
  let looks = 0
  behave = ({ announce, exit }) => {
    looks += 1
    if (looks === 1) announce(99)
    if (looks === 2)
      setImmediate(() => {
        said.push('exit')
        exit()
      })
  }
  expect(await startServer(deps, { withDocument: false }, signal)).toEqual({ record: record(99), isNew: false })
  expect(said).toEqual(['exit', 'released'])
})

test('nothing is left of a start that is interrupted', async () => {
  const stop = new AbortController()
  behave = () => stop.abort(new Error('interrupted'))
  await expect(startServer(deps, { withDocument: false }, stop.signal)).rejects.toThrow('interrupted')
  expect(said).toEqual(['ended'])
})
