import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatServerRecord, type ServerRecord, type ServerRecordRead } from '@thv/core'
import { beforeEach, describe, expect, test } from 'vitest'
import { createFileServerRecords } from './file-server-records.ts'
import { needsRootOnLinux } from './fixtures/as-root.ts'
import { liveProcesses } from './fixtures/live-processes.ts'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'

const { signal } = new AbortController()
const record: ServerRecord = {
  url: 'http://127.0.0.1:52341',
  pid: 12_345,
  nonce: '0'.repeat(32),
  started_at: '2026-08-21T10:26:05.123456789Z',
}
const posix = process.platform !== 'win32'

let directory: string
let records: ReturnType<typeof createFileServerRecords>

beforeEach(() => {
  const state = join(scratchDirectory(), 'toolhive')
  directory = join(state, 'server')
  records = createFileServerRecords({ stateDirectory: state, processes: liveProcesses })
})

const write = async (): Promise<void> => await records.exclusively(signal, async (file) => await file.write(record))

test('nothing there is absent, and looking creates nothing', async () => {
  expect(await records.read()).toEqual({ kind: 'absent' })
  expect(namesIn(join(directory, '../..'))).toEqual([])
})

test.runIf(posix)(
  'a written record is read back; file and directory are private, the parent is left to the group',
  async () => {
    await write()
    expect(await records.read()).toEqual({ kind: 'record', record })
    expect([modeOf(records.path), modeOf(directory), modeOf(join(directory, '..'))]).toEqual([0o600, 0o700, 0o750])
    expect(namesIn(directory)).toEqual(['server.json'])
  },
)

test('a record is removed under the lock, and removing none is fine', async () => {
  await write()
  await records.exclusively(signal, async (file) => await file.remove())
  await records.exclusively(signal, async (file) => await file.remove())
  expect(namesIn(directory)).toEqual([])
})

describe('a record that is refused', () => {
  test.each([
    ['torn', formatServerRecord(record).slice(0, 50), /^it is not JSON/],
    ['empty', '', /^it is not JSON/],
    ['huge', ' '.repeat(16 * 1024) + formatServerRecord(record), /^it is larger than 16384 bytes$/],
    ['for another machine', formatServerRecord({ ...record, url: 'http://10.0.0.1:80' }), /not a loopback address$/],
  ])('when it is %s: it may be replaced', async (_what, text, reason) => {
    place(text)
    const refusal = { kind: 'refused', reason: expect.stringMatching(reason), isOurs: true }
    expect(await records.read()).toEqual(refusal)
    expect(await readLocked()).toEqual(refusal)
    await write()
    expect(await records.read()).toEqual({ kind: 'record', record })
  })

  test.runIf(posix).each([0o640, 0o604, 0o620, 0o666])(
    'by those who look for a server when its mode is %o; the guard still asks its server',
    async (mode) => {
      place(formatServerRecord(record))
      chmodSync(records.path, mode)
      const reason = `other users can get at it (mode ${mode.toString(8)})`
      expect(await records.read()).toEqual({ kind: 'refused', reason, isOurs: true })
      expect(await readLocked()).toEqual({ kind: 'record', record })
      await write()
      expect(modeOf(records.path)).toBe(0o600)
    },
  )

  test('when it is a link, also to a good record: neither followed nor replaced', async () => {
    const target = join(directory, '..', 'elsewhere.json')
    place('')
    writeFileSync(target, formatServerRecord(record), { mode: 0o600 })
    execFileSync('ln', ['-sfn', target, records.path])
    const refusal = { kind: 'refused', reason: 'it is a symbolic link', isOurs: false }
    expect(await records.read()).toEqual(refusal)
    expect(await readLocked()).toEqual(refusal)
    await expect(write()).rejects.toMatchObject({
      code: 'state-denied',
      message: expect.stringContaining('symbolic link'),
    })
    expect(lstatSync(records.path).isSymbolicLink()).toBe(true)
    expect(readFileSync(target, 'utf8')).toBe(formatServerRecord(record))
  })

  test('when it is a directory', async () => {
    mkdirSync(records.path, { recursive: true, mode: 0o700 })
    chmodSync(directory, 0o700)
    expect(await records.read()).toEqual({ kind: 'refused', reason: 'it is not a regular file', isOurs: false })
    await expect(write()).rejects.toMatchObject({ code: 'state-failed' })
  })

  test('when it belongs to another user', async (context) => {
    needsRootOnLinux(context, 'giving a file away')
    place(formatServerRecord(record))
    chownSync(records.path, 65_534, 65_534)
    const refusal = { kind: 'refused', reason: 'it belongs to another user (uid 65534)', isOurs: false }
    expect(await records.read()).toEqual(refusal)
    expect(await readLocked()).toEqual(refusal)
  })
})

describe('a directory that is not to be trusted', () => {
  test.runIf(posix)(
    'because others can write it is refused by those who look, and made private by who announces',
    async () => {
      place(formatServerRecord(record))
      chmodSync(directory, 0o770)
      const reason = 'its directory can be written by other users'
      expect(await records.read()).toEqual({ kind: 'refused', reason, isOurs: false })
      expect(await records.exclusively(signal, async ({ wasOpenToOthers }) => wasOpenToOthers)).toBe(true)
      expect(modeOf(directory)).toBe(0o700)
      expect(await records.exclusively(signal, async ({ wasOpenToOthers }) => wasOpenToOthers)).toBe(false)
      expect(await records.read()).toEqual({ kind: 'record', record })
    },
  )

  test('because it is a link is not followed', async () => {
    const real = join(directory, '..', 'real')
    mkdirSync(real, { recursive: true, mode: 0o700 })
    writeFileSync(join(real, 'server.json'), formatServerRecord(record), { mode: 0o600 })
    symlinkSync(real, directory)
    expect(await records.read()).toEqual({
      kind: 'refused',
      reason: 'its directory is a symbolic link',
      isOurs: false,
    })
    await expect(write()).rejects.toMatchObject({
      code: 'state-denied',
      message: expect.stringContaining('it is a symbolic link'),
    })
  })

  test('because a file is in its place is told', async () => {
    mkdirSync(join(directory, '..'), { recursive: true })
    writeFileSync(directory, '')
    expect(await records.read()).toMatchObject({ kind: 'refused', reason: 'its directory is a file' })
    await expect(write()).rejects.toMatchObject({
      code: 'state-denied',
      message: expect.stringContaining('it is a file'),
    })
  })

  test('because it belongs to another user is left alone', async (context) => {
    needsRootOnLinux(context, 'giving a directory away')
    place(formatServerRecord(record))
    chownSync(directory, 65_534, 65_534)
    const reason = 'its directory belongs to another user (uid 65534)'
    expect(await records.read()).toEqual({ kind: 'refused', reason, isOurs: false })
    await expect(write()).rejects.toMatchObject({ code: 'state-denied' })
    expect(readFileSync(records.path, 'utf8')).toBe(formatServerRecord(record))
  })
})

async function readLocked(): Promise<ServerRecordRead> {
  return await records.exclusively(signal, async (file) => await file.read())
}

function place(text: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(records.path, text, { mode: 0o600 })
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}
