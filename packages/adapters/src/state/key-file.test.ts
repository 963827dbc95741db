import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { needsRootOnLinux } from './fixtures/as-root.ts'
import { scratchDirectory } from './fixtures/scratch.ts'
import { createKeyFile } from './key-file.ts'

const { signal } = new AbortController()

describe.runIf(process.platform === 'linux')('a key file', () => {
  let memory: string
  let directory: string
  beforeEach(() => {
    memory = mkdtempSync('/dev/shm/thv-unit-')
    directory = join(memory, 'thv')
  })
  afterEach(() => rmSync(memory, { recursive: true, force: true }))

  it('keeps a password for this user alone, and forgets it', async () => {
    const keeper = createKeyFile([directory])
    expect(await keeper.read(signal)).toEqual({})
    expect(await keeper.keep('p é', signal)).toBe(true)
    expect(await createKeyFile(['/nowhere/thv', directory]).read(signal)).toEqual({ password: 'p é' })
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'secrets-key')).mode & 0o777).toBe(0o600)
    expect(await keeper.forget(signal)).toBe(true)
    expect(await keeper.read(signal)).toEqual({})
    expect(await keeper.forget(signal)).toBe(false)
  })

  it('is never made on a disk', async (context) => {
    const onDisk = scratchDirectory()
    if ((await createKeyFile([join(onDisk, 'thv')]).keep('p', signal)) !== false) context.skip('missing: a disk')
    const keeper = createKeyFile([join(onDisk, 'thv'), directory])
    expect(await keeper.keep('p', signal)).toBe(true)
    expect(await createKeyFile([join(onDisk, 'thv')]).read(signal)).toEqual({})
    expect(await createKeyFile([directory]).read(signal)).toEqual({ password: 'p' })
  })

  it('that others can read is not believed', async () => {
    await createKeyFile([directory]).keep('p', signal)
    chmodSync(join(directory, 'secrets-key'), 0o640)
    expect(await createKeyFile([directory]).read(signal)).toEqual({ problem: expect.stringContaining('mode 640') })
  })

  it('that is a link is not followed', async () => {
    mkdirSync(directory, { mode: 0o700 })
    writeFileSync(join(memory, 'elsewhere'), 'theirs', { mode: 0o600 })
    symlinkSync(join(memory, 'elsewhere'), join(directory, 'secrets-key'))
    const keeper = createKeyFile([directory])
    expect(await keeper.read(signal)).toEqual({ problem: expect.stringContaining('symbolic link') })
    expect(await keeper.keep('p', signal)).toBe(false)
  })

  it('in a directory that is a link is neither read nor written', async () => {
    mkdirSync(join(memory, 'theirs'), { mode: 0o700 })
    writeFileSync(join(memory, 'theirs', 'secrets-key'), 'theirs', { mode: 0o600 })
    symlinkSync(join(memory, 'theirs'), directory)
    const keeper = createKeyFile([directory])
    expect(await keeper.read(signal)).toEqual({ problem: expect.stringContaining('symbolic link') })
    expect(await keeper.keep('p', signal)).toBe(false)
  })

  it('in a directory of another user is neither read nor written', async (context) => {
    needsRootOnLinux(context, 'a directory of another user')
    mkdirSync(directory, { mode: 0o700 })
    writeFileSync(join(directory, 'secrets-key'), 'theirs', { mode: 0o600 })
    chownSync(directory, 12_345, 12_345)
    const keeper = createKeyFile([directory])
    expect(await keeper.read(signal)).toEqual({ problem: expect.stringContaining('another user') })
    expect(await keeper.keep('p', signal)).toBe(false)
  })
})
