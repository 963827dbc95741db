import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { isolations, isReasonCode, limits, statusReasons, type StatusRecord, type StatusStore } from '@thv/core'
import { testStatusStore } from '@thv/core/contracts'
import { expect, test, vi } from 'vitest'
import { createFileStatusStore } from './file-status-store.ts'
import { needsRootOnLinux } from './fixtures/as-root.ts'
import { liveProcesses } from './fixtures/live-processes.ts'
import { namesIn, resultOf, runFixture, scratchDirectory } from './fixtures/scratch.ts'

const { signal } = new AbortController()
const posix = process.platform !== 'win32'
const time = '2026-08-21T10:00:00Z'
const record: StatusRecord = { status: 'running', created_at: time, updated_at: time, process_id: 4711 }

testStatusStore('files', () => {
  const dataDirectory = scratchDirectory()
  return Promise.resolve({
    open: () => createFileStatusStore({ dataDirectory, processes: liveProcesses, lockMs: 10_000 }),
  })
})

test('the file has the bytes that ToolHive reads, and is private', async () => {
  const { store, path } = place()
  await store.update('fetch', () => ({ ...record, status_context: 'why', thv: { restarts: 1 } }), signal)
  expect(readFileSync(path, 'utf8')).toBe(
    [
      '{',
      '  "status": "running",',
      '  "status_context": "why",',
      `  "created_at": "${time}",`,
      `  "updated_at": "${time}",`,
      '  "process_id": 4711,',
      '  "thv": {',
      '    "restarts": 1',
      '  }',
      '}\n',
    ].join('\n'),
  )
  expect(statSync(path).mode & 0o777).toBe(posix ? 0o600 : 0o666)
})

test('updates of four processes lose nothing and leave no lock behind', async () => {
  const { dataDirectory, store } = place()
  const children = [1, 2, 3, 4].map(() => runFixture('count-up.ts', [dataDirectory, '40']))
  const results = await Promise.all(children.map(resultOf))
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0])
  expect((await store.read('fetch'))?.process_id).toBe(160)
  expect(namesIn(join(dataDirectory, 'statuses'))).toEqual(['fetch.json'])
}, 60_000)

test.each([
  ['a surplus closing brace', `${JSON.stringify(record)}}}`],
  ['a missing closing brace', JSON.stringify(record).slice(0, -1)],
  ['missing braces inside the extension', JSON.stringify({ ...record, thv: { owner: { pid: 1 } } }).slice(0, -3)],
  ['control characters between and inside', `\0${JSON.stringify(record).replace('running', 'run\u0001ning')}\u001f`],
  ['a byte order mark', `\ufeff${JSON.stringify(record)}`],
  ['braces in a string', JSON.stringify({ ...record, note: '}}{"\\' }).slice(0, -1)],
])('%s is repaired', async (_, content) => {
  const { store, path, directory } = place(content)
  expect(await store.read('fetch')).toMatchObject(record)
  expect([readFileSync(path, 'utf8'), namesIn(directory)]).toEqual([content, ['fetch.json']])
})

test.each([
  ['empty', ''],
  ['cut inside a string', '{"status":"runn'],
  ['binary', '\u00ff\0\u0001\u0002{{{{'],
  ['a list', '[]'],
  ['without status', JSON.stringify({ created_at: time })],
  ['without created_at', JSON.stringify({ status: 'running' })],
  ['with a created_at that is no time', JSON.stringify({ ...record, created_at: 'yesterday-ish' })],
  ['nested 40000 deep', '{"a":'.repeat(40_000)],
])('a file that is %s is corrupt, is copied once, and the next update writes a good one', async (_, content) => {
  const { store, path, directory } = place(content)
  await expect(store.read('fetch')).rejects.toMatchObject({
    code: 'state-corrupt',
    message: expect.stringContaining(`${path}.corrupted`),
  })
  expect(readFileSync(`${path}.corrupted`, 'utf8')).toBe(content)
  expect(statSync(`${path}.corrupted`).mode & 0o777).toBe(posix ? 0o600 : 0o666)
  writeFileSync(path, 'broken again')
  const change = vi.fn<(current: unknown) => StatusRecord>(() => record)
  expect(await store.update('fetch', change, signal)).toEqual(record)
  expect(change).toHaveBeenCalledExactlyOnceWith(undefined)
  expect(await store.read('fetch')).toEqual(record)
  expect(readFileSync(`${path}.corrupted`, 'utf8')).toBe(content)
  expect(await store.list()).toEqual({ names: ['fetch'], problems: [] })
  await store.update('fetch', () => 'delete', signal)
  expect(namesIn(directory)).toEqual([])
})

test('a status of a later version reads as unknown, and the malformed rest is left out', async () => {
  const extension = {
    owner: { pid: 'x', started: 'a' },
    server: { pid: 7, started: 'a', group: 1, marker: 'm' },
    lanes: [
      { pid: 7, started: 'a', group: 1, marker: 'm' },
      'x',
      { pid: 8, started: 'a', group: 8, marker: 'm', x: 1 },
    ],
    since: 5,
    started_at: time,
    restarts: -1,
    reason: 'because',
    last_error: { at: time, reason: 'remote-dns' },
    transport: 'pigeon',
    wanted_scopes: ['a', 7, ...Array.from({ length: 60 }, () => 'b')],
    probes: [{ reason: 'serving', message: 'm', since: time, count: 2 }, { reason: 'serving' }, 7],
    last_stderr: ['kept', 7, null, 'x'.repeat(9_000)],
    later: true,
  }
  const { store } = place(
    JSON.stringify({ status: 'hibernating', status_context: 7, created_at: time, process_id: -4, thv: extension }),
  )
  expect(await store.read('fetch')).toEqual({
    status: 'unknown',
    created_at: time,
    updated_at: time,
    process_id: 0,
    thv: {
      lanes: [{ pid: 8, started: 'a', group: 8, marker: 'm' }],
      started_at: time,
      probes: [{ reason: 'serving', message: 'm', since: time, count: 2 }],
      wanted_scopes: ['a', ...Array.from({ length: limits.wantedScopes - 1 }, () => 'b')],
      last_stderr: ['kept', 'x'.repeat(limits.stderrLineLength)],
    },
  })
})

test('of the servers of single clients no more than the maximum are read', async () => {
  const lane = { pid: 8, started: 'a', group: 8, marker: 'm' }
  const lanes = Array.from({ length: limits.laneRecords + 5 }, () => lane)
  const { store } = place(JSON.stringify({ ...record, thv: { lanes } }))
  expect((await store.read('fetch'))?.thv?.lanes).toHaveLength(limits.laneRecords)
})

test('10 MB are corrupt without being read, and an update moves them aside', async () => {
  const { store, path, directory } = place(Buffer.alloc(10 * 1024 * 1024, ' '))
  await expect(store.read('fetch')).rejects.toMatchObject({ code: 'state-corrupt' })
  expect(namesIn(directory)).toEqual(['fetch.json'])
  await store.update('fetch', () => record, signal)
  expect(await store.read('fetch')).toEqual(record)
  expect(statSync(`${path}.corrupted`).size).toBe(10 * 1024 * 1024)
})

test('a link is corrupt to read and denied to update, and its target is not touched', async () => {
  const { store, path, directory } = place()
  const victim = join(directory, 'victim')
  writeFileSync(victim, JSON.stringify(record))
  symlinkSync(victim, path)
  await expect(store.read('fetch')).rejects.toMatchObject({ code: 'state-corrupt' })
  await expect(store.update('fetch', () => record, signal)).rejects.toMatchObject({ code: 'state-denied' })
  expect(readFileSync(victim, 'utf8')).toBe(JSON.stringify(record))
  expect(await store.list()).toEqual({ names: [], problems: [{ file: 'fetch.json', reason: 'it is a symbolic link' }] })
})

test.runIf(posix)('a fifo is corrupt to read without waiting, and an update replaces it', async () => {
  const { store, path } = place()
  execFileSync('mkfifo', [path])
  await expect(store.read('fetch')).rejects.toMatchObject({ code: 'state-corrupt' })
  await store.update('fetch', () => record, signal)
  expect(await store.read('fetch')).toEqual(record)
})

test('a directory is corrupt to read and failed to update', async () => {
  const { store, path } = place()
  mkdirSync(path)
  await expect(store.read('fetch')).rejects.toMatchObject({ code: 'state-corrupt' })
  await expect(store.update('fetch', () => record, signal)).rejects.toMatchObject({ code: 'state-failed' })
})

test("another user's status is corrupt to read and denied to update, so sudo takes nothing over", async (context) => {
  needsRootOnLinux(context, 'giving a file away')
  const { store, path } = place(JSON.stringify(record))
  chownSync(path, 65534, 65534)
  await expect(store.read('fetch')).rejects.toMatchObject({ code: 'state-corrupt' })
  await expect(store.update('fetch', () => record, signal)).rejects.toMatchObject({
    code: 'state-denied',
    hint: expect.stringContaining('chown'),
  })
  expect(statSync(path).uid).toBe(65534)
})

test('files that are no statuses are passed over: ours silently, odd ones reported once', async () => {
  const { store, directory } = place(JSON.stringify(record))
  const silent = ['a.json.corrupted', 'a.lock', 'a.thv-lock', `a.thv-lock.${'0'.repeat(32)}`, '.thv-0.tmp', 'notes.txt']
  for (const name of [...silent, 'two words.json', '..json', 'a..b.json']) writeFileSync(join(directory, name), '')
  mkdirSync(join(directory, 'dir.json'))
  expect(await store.list()).toEqual({
    names: ['fetch'],
    problems: [
      { file: '..json', reason: 'it is not named like a workload' },
      { file: 'a..b.json', reason: 'it is not named like a workload' },
      { file: 'dir.json', reason: 'it is not a regular file' },
      { file: 'two words.json', reason: 'it is not named like a workload' },
    ],
  })
})

test('a record that grew beyond what a reader accepts loses its captured output, nothing else', async () => {
  const { store } = place()
  const huge = Array.from({ length: 30 }, () => '\u0001'.repeat(limits.stderrLineLength))
  await store.update('fetch', () => ({ ...record, thv: { restarts: 3, last_stderr: huge } }), signal)
  expect(await store.read('fetch')).toEqual({ ...record, thv: { restarts: 3 } })
})

test('a held lock is state-locked after the time given', async () => {
  const { store, directory } = place()
  const holder = JSON.stringify({ ...(await liveProcesses.self()), token: 'f'.repeat(32) })
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'fetch.thv-lock'), holder)
  await expect(store.update('fetch', () => record, signal)).rejects.toMatchObject({ code: 'state-locked' })
})

test('a watcher hears of a file in a directory that did not exist when it began', async () => {
  const dataDirectory = join(scratchDirectory(), 'later')
  const store = createFileStatusStore({ dataDirectory, processes: liveProcesses })
  const ending = new AbortController()
  const changed = vi.fn<() => void>()
  store.watch('fetch', changed, ending.signal)
  await store.update('fetch', () => record, signal)
  await vi.waitFor(() => expect(changed).toHaveBeenCalled(), { timeout: 5_000 })
  ending.abort()
})

test('no bytes whatever make the reader fail in another way than state-corrupt', async () => {
  const { store, path, directory } = place('')
  mkdirSync(directory, { recursive: true })
  const nearJson = fc.string({
    unit: fc.constantFrom('{', '}', '"', ':', ',', '\\', 'a', '1', ' ', '\n', '\0', 'null'),
  })
  const damaged = fc.tuple(fc.nat(200), fc.nat(200), nearJson).map(([from, count, put]) => {
    const text = JSON.stringify({ ...record, thv: { owner: { pid: 1, started: 'x' } } })
    return text.slice(0, from) + put + text.slice(from + count)
  })
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    nearJson.map((text) => Buffer.from(text)),
    damaged.map((text) => Buffer.from(text)),
  )
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      writeFileSync(path, bytes)
      const outcome = await store.read('fetch').catch((error: unknown) => error)
      expect(outcome).toSatisfy(isRecordOrCorrupt)
    }),
    { numRuns: 600 },
  )
}, 60_000)

test('every record reads back as it was written', async () => {
  const { store } = place()
  const date = fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') })
    .map((at) => at.toISOString())
  const text = fc.string({ unit: 'binary', maxLength: 50 })
  const pid = fc.integer({ min: 2, max: 4_000_000 })
  const server = fc.record({ pid, started: text, group: pid, marker: text })
  const reason = fc.constantFrom(...Object.keys(statusReasons).filter(isReasonCode))
  const records: fc.Arbitrary<StatusRecord> = fc.record(
    {
      status: fc.constantFrom('running', 'stopped', 'error', 'unknown'),
      status_context: text,
      created_at: date,
      updated_at: date,
      process_id: fc.nat(4_000_000),
      thv: fc.record(
        {
          owner: fc.record({ pid, started: text }),
          server,
          lanes: fc.array(server, { maxLength: 3 }),
          since: date,
          started_at: date,
          restarts: fc.nat(),
          reason,
          last_error: fc.record({ at: date, reason, message: text }),
          probes: fc.array(fc.record({ reason, message: text, since: date, count: fc.nat() }), {
            maxLength: limits.probeRuns,
          }),
          transport: fc.constantFrom('sse', 'streamable-http'),
          wanted_scopes: fc.array(text, { maxLength: limits.wantedScopes }),
          isolation: fc.constantFrom(...isolations),
          last_stderr: fc.array(text, { maxLength: limits.stderrLines }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['status', 'created_at', 'updated_at', 'process_id'] },
  )
  await fc.assert(
    fc.asyncProperty(records, async (written) => {
      await store.update('fetch', () => written, signal)
      // fast-check's objects have no prototype.
      expect(await store.read('fetch')).toEqual(structuredClone(written))
    }),
    { numRuns: 75 },
  )
}, 60_000)

function isRecordOrCorrupt(outcome: unknown): boolean {
  if (typeof outcome !== 'object' || outcome === null) return false
  return 'process_id' in outcome || ('code' in outcome && outcome.code === 'state-corrupt')
}

interface Place {
  dataDirectory: string
  directory: string
  path: string
  store: StatusStore
}

function place(content?: string | Uint8Array): Place {
  const dataDirectory = scratchDirectory()
  const directory = join(dataDirectory, 'statuses')
  const path = join(directory, 'fetch.json')
  mkdirSync(directory)
  if (content !== undefined) writeFileSync(path, content)
  const store = createFileStatusStore({ dataDirectory, processes: liveProcesses })
  return { dataDirectory, directory, path, store }
}
