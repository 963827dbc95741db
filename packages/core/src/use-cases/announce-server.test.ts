import { beforeEach, describe, expect, test } from 'vitest'
import type { ServerRecord } from '../domain/server-record.ts'
import { ThvError } from '../errors.ts'
import type { LockedServerRecord, ServerHealth, ServerRecordRead } from '../ports/server-records.ts'
import { announceServer, withdrawServer, type AnnounceServerDeps } from './announce-server.ts'
import { evaluateServer } from './evaluate-server.ts'

const { signal } = new AbortController()
const old: ServerRecord = { url: 'http://127.0.0.1:1', pid: 7, nonce: 'old', started_at: '2026-08-21T10:26:05Z' }
const own: ServerRecord = { url: 'http://127.0.0.1:2', pid: 8, nonce: 'own', started_at: '2026-08-21T10:27:05Z' }

const verified: ServerHealth = { verified: true }
const wrong: ServerHealth = { verified: false, reason: 'it answers 401', timedOut: false }
const late: ServerHealth = { verified: false, reason: 'no answer within 5 s', timedOut: true }

let stored: ServerRecordRead
let answers: ServerHealth[]
let processAlive: boolean
let wasOpenToOthers: boolean
let lockError: ThvError | undefined
/** What happens while one waits for the lock. */
let meanwhile: () => void
let warnings: string[]
let asked: number
let deps: AnnounceServerDeps

beforeEach(() => {
  stored = { kind: 'record', record: old }
  answers = []
  processAlive = false
  wasOpenToOthers = false
  lockError = undefined
  meanwhile = () => {}
  warnings = []
  asked = 0
  const file: LockedServerRecord = {
    get wasOpenToOthers() {
      return wasOpenToOthers
    },
    read: async () => stored,
    write: async (record) => {
      stored = { kind: 'record', record }
    },
    remove: async () => {
      stored = { kind: 'absent' }
    },
  }
  deps = {
    records: {
      path: '/state/server.json',
      read: async () => stored,
      watch: () => {},
      exclusively: async (_signal, action) => {
        meanwhile()
        if (lockError !== undefined) throw lockError
        return await action(file)
      },
    },
    probe: async () => {
      asked += 1
      return (answers.length > 1 ? answers.shift() : answers[0]) ?? wrong
    },
    isAlive: async () => processAlive,
    warn: (message) => warnings.push(message),
  }
})

describe('what is true of a server', () => {
  test.each([
    ['verified', 'alive', 'running'],
    ['verified', 'dead', 'running'],
    ['wrong', 'alive', 'unhealthy'],
    ['wrong', 'dead', 'stale'],
    ['late', 'alive', 'unhealthy'],
    ['late', 'dead', 'stale'],
  ])('with an answer that is %s and a process that is %s it is %s', async (answer, process, state) => {
    answers = [{ verified, wrong, late }[answer] ?? wrong]
    processAlive = process === 'alive'
    expect(await evaluateServer(deps, signal)).toMatchObject({ state, record: old })
  })

  test('without a record nobody is asked', async () => {
    stored = { kind: 'absent' }
    expect(await evaluateServer(deps, signal)).toEqual({ state: 'not_found' })
    expect(asked).toBe(0)
  })

  test('a record that is not believed is told, and nobody is asked', async () => {
    stored = { kind: 'refused', reason: 'it is a symbolic link', isOurs: false }
    expect(await evaluateServer(deps, signal)).toEqual({
      state: 'refused',
      reason: 'it is a symbolic link',
      isOurs: false,
    })
    expect(asked).toBe(0)
  })
})

describe('a server that announces itself', () => {
  test('is refused by one that runs, in the words that tools look for', async () => {
    answers = [verified]
    await expect(announceServer(deps, own, signal)).rejects.toMatchObject({
      code: 'api-server-running',
      message: 'another ToolHive server is already running at http://127.0.0.1:1 (PID 7)',
    })
    expect(stored).toEqual({ kind: 'record', record: old })
  })

  test('is refused by one that announced itself while it waited', async () => {
    stored = { kind: 'absent' }
    answers = [verified]
    meanwhile = () => {
      stored = { kind: 'record', record: old }
    }
    await expect(announceServer(deps, own, signal)).rejects.toMatchObject({ code: 'api-server-running' })
  })

  test('that never gets the lock says who runs', async () => {
    stored = { kind: 'absent' }
    answers = [verified]
    lockError = new ThvError('state-locked', 'locked')
    meanwhile = () => {
      stored = { kind: 'record', record: old }
    }
    await expect(announceServer(deps, own, signal)).rejects.toMatchObject({ code: 'api-server-running' })
  })

  test('that never gets the lock while nobody runs says that', async () => {
    stored = { kind: 'absent' }
    lockError = new ThvError('state-locked', 'locked')
    await expect(announceServer(deps, own, signal)).rejects.toBe(lockError)
  })

  test('takes the place of one whose process has ended, without a word', async () => {
    await announceServer(deps, own, signal)
    expect(stored).toEqual({ kind: 'record', record: own })
    expect(warnings).toEqual([])
  })

  test('takes the place of one that lives and does not answer as it should, with a warning', async () => {
    processAlive = true
    await announceServer(deps, own, signal)
    expect(stored).toEqual({ kind: 'record', record: own })
    expect(warnings).toEqual([
      'replacing the record of a server that cannot be verified at http://127.0.0.1:1 (PID 7): it answers 401',
    ])
  })

  test('gives one that was only late a second chance', async () => {
    processAlive = true
    answers = [late, verified]
    await expect(announceServer(deps, own, signal)).rejects.toMatchObject({ code: 'api-server-running' })
  })

  test('asks a server that appears late twice before it takes its place', async () => {
    processAlive = true
    answers = [late]
    stored = { kind: 'absent' }
    meanwhile = () => {
      stored = { kind: 'record', record: old }
    }
    await announceServer(deps, own, signal)
    expect(asked).toBe(2)
  })

  test('replaces a file of its user that says nothing, and tells it', async () => {
    stored = { kind: 'refused', reason: 'it is not JSON', isOurs: true }
    await announceServer(deps, own, signal)
    expect(stored).toEqual({ kind: 'record', record: own })
    expect(warnings).toEqual(["replacing '/state/server.json': it is not JSON"])
  })

  test('leaves what belongs to others alone', async () => {
    stored = { kind: 'refused', reason: 'it belongs to another user (uid 65534)', isOurs: false }
    await expect(announceServer(deps, own, signal)).rejects.toMatchObject({
      code: 'server-record-refused',
      message: "cannot announce this server: '/state/server.json': it belongs to another user (uid 65534)",
    })
    expect(stored).toMatchObject({ kind: 'refused' })
  })

  test('tells that its directory was open to others', async () => {
    wasOpenToOthers = true
    await announceServer(deps, own, signal)
    expect(warnings).toEqual(["the directory of '/state/server.json' was open to other users; it is private again"])
  })
})

describe('a server that ends', () => {
  test('takes its own record away', async () => {
    stored = { kind: 'record', record: own }
    expect(await withdrawServer(deps, 'own', signal)).toBe(true)
    expect(stored).toEqual({ kind: 'absent' })
  })

  test.each<[string, ServerRecordRead]>([
    ['the record of its successor', { kind: 'record', record: old }],
    ['no record', { kind: 'absent' }],
    ['a link', { kind: 'refused', reason: 'it is a symbolic link', isOurs: false }],
  ])('leaves %s as it is', async (_what, found) => {
    stored = found
    expect(await withdrawServer(deps, 'own', signal)).toBe(false)
    expect(stored).toBe(found)
  })
})
