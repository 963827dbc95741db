import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSessionJournals } from './session-files.ts'
import { openSessionJournal, type FileSessionJournal } from './session-journal.ts'

let directory: string
let path: string
let warnings: string[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-journal-'))
  path = join(directory, 'sessions', 'a.jsonl')
  warnings = []
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('what was written', () => {
  it('is there for the next one, private to the user, without anything being closed', async () => {
    const journal = await open()
    journal.write('one', { kind: 'shared', version: '1' })
    journal.write('two', { kind: 'lane' })
    journal.write('one', { level: 'info', version: null })
    journal.delete('two')
    expect(await recordsOf(await open())).toEqual({ one: { kind: 'shared', level: 'info' } })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(warnings).toEqual([])
  })

  it('is the same after any history of changes, ends and restarts', async () => {
    const change = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      changes: fc.option(fc.dictionary(fc.string(), fc.option(fc.string()), { maxKeys: 3 }), { freq: 5 }),
      restarts: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 30 }), async (history) => {
        await rm(path, { force: true })
        const expected = new Map<string, Map<string, string>>()
        let journal = await open()
        for (const { key, changes, restarts } of history) {
          if (restarts) {
            journal = await open()
            journal.load()
          }
          if (changes === null) {
            journal.delete(key)
            expected.delete(key)
            continue
          }
          journal.write(key, changes)
          const record = expected.get(key) ?? new Map<string, string>()
          expected.set(key, record)
          for (const [name, value] of Object.entries(changes)) {
            if (value === null) record.delete(name)
            else record.set(name, value)
          }
        }
        const found = (await open()).load()
        expect(found.size).toBe(expected.size)
        for (const [key, record] of expected) expect(found.get(key)).toEqual(Object.fromEntries(record))
      }),
      { numRuns: 40 },
    )
  })

  it('survives a line that was cut off, and what is written after it', async () => {
    const journal = await open()
    journal.write('one', { kind: 'shared' })
    await writeFile(path, `${await readFile(path, 'utf8')}{"session":"two","set":{"ki`)
    const next = await open()
    expect(await recordsOf(next)).toEqual({ one: { kind: 'shared' } })
    next.write('three', { kind: 'shared' })
    expect(Object.keys(await recordsOf(await open()))).toEqual(['one', 'three'])
    expect(warnings).toEqual([])
  })

  it('does not grow without end: a file with many changes is written anew', async () => {
    const journal = await open()
    for (let round = 0; round < 8_000; round += 1) journal.write('one', { used: `${round} ${'x'.repeat(100)}` })
    expect((await stat(path)).size).toBeLessThan(300 * 1024)
    expect((await recordsOf(await open()))['one']?.['used']).toMatch(/^7999 /)
    expect(await readdir(join(directory, 'sessions'))).toEqual(['a.jsonl'])
  })

  it('is written whole again when the file was taken away', async () => {
    const journal = await open()
    journal.write('one', { kind: 'shared' })
    journal.write('two', { kind: 'shared' })
    await rm(path)
    journal.write('three', { kind: 'shared' })
    expect(Object.keys(await recordsOf(await open()))).toEqual(['one', 'two', 'three'])
  })

  it('has a largest size: what has no room is said once and left out, and costs nothing more', async () => {
    const journal = await open()
    const initialize = 'x'.repeat(100_000)
    for (let count = 0; count < 400; count += 1) journal.write(`s${count}`, { kind: 'lane', initialize })
    const began = performance.now()
    for (let count = 0; count < 100; count += 1) {
      journal.write('s0', { used: String(count) })
      journal.write('s399', { level: 'info' })
    }
    expect(performance.now() - began).toBeLessThan(1_000)
    expect(warnings).toEqual(['sessions that begin now may not outlive this process'])
    journal.delete('s1')
    journal.write('late', { kind: 'lane', initialize })
    const records = await recordsOf(await open())
    expect(records['s0']?.['used']).toBe('99')
    expect(records['late']?.['kind']).toBe('lane')
    expect(Object.values(records).filter((record) => record['kind'] !== 'lane')).toEqual([])
    expect((await stat(path)).size).toBeLessThanOrEqual(32 * 1024 * 1024)
  })

  it('is not touched any more by a process that was given up for dead', async () => {
    const late = await open()
    late.write('one', { kind: 'shared' })
    late.write('two', { kind: 'shared' })
    const journal = await open()
    journal.load()
    late.delete('one')
    late.write('three', { kind: 'shared', text: 'x'.repeat(100_000) })
    for (let round = 0; round < 10; round += 1) late.write('two', { text: 'x'.repeat(100_000) })
    journal.write('four', { kind: 'shared' })
    expect(await recordsOf(await open())).toEqual({
      one: { kind: 'shared' },
      two: { kind: 'shared' },
      four: { kind: 'shared' },
    })
    expect(warnings).toHaveLength(1)
  })
})

describe('a file that cannot be believed', () => {
  it.each([
    ['text of another program', 'name = "value"\n'],
    ['a file of a newer version', '{"thv":"sessions","version":2}\n{"session":"a","set":{}}\n'],
  ])('%s stays as it is, and that is said once', async (_what, content) => {
    const journal = await openOver(content)
    expect(await recordsOf(journal)).toEqual({})
    for (let round = 0; round < 3; round += 1) journal.write('one', { kind: 'shared' })
    expect(await readFile(path, 'utf8')).toBe(content)
    expect(warnings).toHaveLength(1)
  })

  it('a link stays, and nothing is written where it leads', async () => {
    const target = join(directory, 'target')
    await writeFile(target, '{"thv":"sessions","version":1}\n{"session":"a","set":{"kind":"shared"}}\n')
    await openOver('')
    await rm(path)
    await symlink(target, path)
    const before = await readFile(target, 'utf8')
    const journal = await open()
    expect(await recordsOf(journal)).toEqual({})
    journal.write('one', { kind: 'shared' })
    expect(await readFile(target, 'utf8')).toBe(before)
    expect(warnings).toEqual(['sessions will not outlive this process: their file cannot be used'])
  })

  it('lines that are no records are passed over, and counted in one warning', async () => {
    const lines = [
      '{"thv":"sessions","version":1}',
      '{"session":"good","set":{"kind":"shared"}}',
      'nonsense',
      '{"session":"bad key","set":{}}',
      '{"session":"a","set":{"kind":7}}',
      '{"session":"b","set":"text"}',
      '[]',
      '{"session":"last","set":{"kind":"lane"}}',
    ]
    const journal = await openOver(`${lines.join('\n')}\n`)
    expect(await recordsOf(journal)).toEqual({ good: { kind: 'shared' }, last: { kind: 'lane' } })
    expect(warnings).toHaveLength(1)
  })

  it('what stands in the way of its directory is said once, and written over when it is gone', async () => {
    const journal = await open()
    await writeFile(join(directory, 'sessions'), '')
    journal.write('one', { kind: 'shared' })
    journal.write('two', { kind: 'shared' })
    expect(warnings).toHaveLength(1)
    await rm(join(directory, 'sessions'))
    journal.write('three', { kind: 'shared' })
    expect(Object.keys(await recordsOf(await open()))).toEqual(['one', 'two', 'three'])
  })
})

describe('the sessions of a workload', () => {
  it('are forgotten when they are deleted, also twice', async () => {
    const journals = createSessionJournals({ dataDirectory: directory })
    const journal = await journals.open('a', warn)
    journal.write('one', { kind: 'shared' })
    await journals.delete('a')
    await journals.delete('a')
    expect(await recordsOf(await journals.open('a', warn))).toEqual({})
  })
})

const warn = (message: string): void => void warnings.push(message)

async function open(): Promise<FileSessionJournal> {
  return await openSessionJournal(path, warn)
}

async function openOver(content: string): Promise<FileSessionJournal> {
  const first = await open()
  first.write('one', { kind: 'shared' })
  await writeFile(path, content)
  return await open()
}

async function recordsOf(journal: FileSessionJournal): Promise<Record<string, Record<string, string>>> {
  return Object.fromEntries([...journal.load()].map(([key, record]) => [key, { ...record }]))
}
