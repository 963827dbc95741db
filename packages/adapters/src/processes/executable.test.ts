import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findExecutable } from './executable.ts'

let directory: string

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'thv-find-')))
  await mkdir(join(directory, 'bin'))
  await mkdir(join(directory, 'folder'))
  await writeFile(join(directory, 'bin', 'tool'), '#!/bin/sh\n', { mode: 0o755 })
  await writeFile(join(directory, 'bin', 'text'), 'no program\n')
  await chmod(join(directory, 'bin', 'text'), 0o644)
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe.runIf(process.platform !== 'win32')('a program', () => {
  const tool = () => join(directory, 'bin', 'tool')

  it('is found on the search path, by relative and by absolute path', async () => {
    const scope = { workingDirectory: directory, searchPath: `/nowhere::${join(directory, 'bin')}` }
    expect(await findExecutable('tool', scope)).toBe(tool())
    expect(await findExecutable('bin/tool', { ...scope, searchPath: '' })).toBe(tool())
    expect(await findExecutable(tool(), { workingDirectory: '/', searchPath: '' })).toBe(tool())
  })

  it.each(['missing', 'text', 'folder', 'bin/text', './folder', './tool'])('%s is not found', async (name) => {
    const scope = { workingDirectory: directory, searchPath: `${join(directory, 'bin')}:${directory}` }
    await expect(findExecutable(name, scope)).rejects.toMatchObject({ code: 'command-not-found' })
  })
})
