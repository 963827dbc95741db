import { beforeEach, expect, test } from 'vitest'
import type { ServerRecord } from '../domain/server-record.ts'
import type { ServerRecordRead } from '../ports/server-records.ts'
import { stopServer, type StopServerDeps } from './stop-server.ts'

const { signal } = new AbortController()
const base: ServerRecord = { url: 'http://127.0.0.1:1', pid: 7, nonce: 'n', started_at: '2026-08-21T10:26:05Z' }
const own: ServerRecord = { ...base, thv: { started: 'then', version: '1', data: '/d' } }

let stored: ServerRecordRead
let answers: boolean
/** Start time of process 7; undefined when there is none. */
let started: string | undefined
let diesOf: string
let signals: string[]
let deps: StopServerDeps

beforeEach(() => {
  stored = { kind: 'record', record: own }
  answers = true
  started = 'then'
  diesOf = 'SIGTERM'
  signals = []
  let now = 0
  deps = {
    probe: async () => (answers ? { verified: true } : { verified: false, reason: 'nobody', timedOut: false }),
    isAlive: async ({ thv }) => started !== undefined && (thv === undefined || thv.started === started),
    records: {
      path: '/state/server.json',
      read: async () => stored,
      watch: () => {},
      exclusively: async (_signal, action) =>
        await action({
          wasOpenToOthers: false,
          read: async () => stored,
          write: async () => {},
          remove: async () => {
            stored = { kind: 'absent' }
          },
        }),
    },
    processes: {
      identify: async (pid) => (started === undefined ? undefined : { pid, started }),
      isAlive: async (identity) => identity.started === started,
      signal: async (_identity, name) => {
        signals.push(name)
        if (name === diesOf) started = undefined
        return true
      },
    },
    clock: {
      now: () => new Date(0),
      monotonicMs: () => (now += 1_000),
      sleep: async () => {},
    },
  }
})

test('a server is asked to end, and its record goes if it has left it', async () => {
  expect(await stopServer(deps, signal)).toEqual(own)
  expect([signals, stored]).toEqual([['SIGTERM'], { kind: 'absent' }])
})

test('one that does not obey is killed', async () => {
  diesOf = 'SIGKILL'
  await stopServer(deps, signal)
  expect(signals).toEqual(['SIGTERM', 'SIGKILL'])
})

test('one that hangs is ended when its start time is the recorded one', async () => {
  answers = false
  expect(await stopServer(deps, signal)).toEqual(own)
  expect(signals).toEqual(['SIGTERM'])
})

test('where none runs there is nothing to do', async () => {
  stored = { kind: 'absent' }
  expect(await stopServer(deps, signal)).toBeUndefined()
})

test.each([
  ['another process has its number', 'later'],
  ['its process has ended', undefined],
])('a record that was left behind is removed, and nobody is signalled: %s', async (_why, other) => {
  answers = false
  started = other
  expect(await stopServer(deps, signal)).toBeUndefined()
  expect([signals, stored]).toEqual([[], { kind: 'absent' }])
})

test('ToolHive tells no start time: its server is ended when it answers with its nonce, and left alone otherwise', async () => {
  stored = { kind: 'record', record: base }
  answers = false
  await expect(stopServer(deps, signal)).rejects.toMatchObject({ code: 'api-server-unverified' })
  expect(signals).toEqual([])
  answers = true
  expect(await stopServer(deps, signal)).toEqual(base)
})

test('a server that answers, with the number of another process in its record, is left alone', async () => {
  started = 'later'
  await expect(stopServer(deps, signal)).rejects.toMatchObject({ code: 'api-server-unverified' })
  expect([signals, stored.kind]).toEqual([[], 'record'])
})

test('a record that is not believed leads to nobody', async () => {
  stored = { kind: 'refused', reason: 'it is a symbolic link', isOurs: false }
  await expect(stopServer(deps, signal)).rejects.toMatchObject({ code: 'server-record-refused' })
})
