import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerRecord } from '@thv/core'
import { expect, test } from 'vitest'
import { createProcessTable } from './process-table.ts'
import { createServerLiveness } from './server-liveness.ts'

const processes = createProcessTable()
const isAlive = createServerLiveness(processes)
const at = (pid: number, started?: string): ServerRecord => ({
  url: 'http://127.0.0.1:1',
  pid,
  nonce: '',
  started_at: '2026-08-21T10:26:05Z',
  ...(started !== undefined && { thv: { started, version: '', data: '' } }),
})

test('this process lives, by its number alone and by its start', async () => {
  const { pid, started } = await processes.self()
  expect([await isAlive(at(pid)), await isAlive(at(pid, started))]).toEqual([true, true])
})

test('a number that was given to another process is not the server', async () => {
  expect(await isAlive(at(process.pid, 'long ago'))).toBe(false)
})

test('a process that has ended is dead', async () => {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  expect(await isAlive(at(child.pid!))).toBe(false)
})

test.each([0, -1, 2 ** 40])('the number %i is nobody', async (pid) => {
  expect(await isAlive(at(pid))).toBe(false)
})

test('a process that the list hides and that may not be signalled lives', async (context) => {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0 || process.seteuid === undefined) {
    context.skip('changing the user needs root on Linux')
    return
  }
  const child = spawn('sleep', ['30'], { uid: 1, stdio: 'ignore' })
  await once(child, 'spawn')
  const hidden = createServerLiveness({ identify: async () => undefined })
  process.seteuid(65_534)
  try {
    expect(await hidden(at(child.pid!))).toBe(true)
  } finally {
    process.seteuid(0)
    child.kill('SIGKILL')
  }
})
