import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { LogFiles } from '@thv/core'
import { expect, test } from 'vitest'
import { namesIn, scratchDirectory } from './fixtures/scratch.ts'
import { createLogFiles } from './log-files.ts'

test('the proxy log lies where ToolHive has it, the server log in a directory of its own', () => {
  const logs = createLogFiles({ dataDirectory: join('/data', 'toolhive') })
  expect(logs.proxyLog('a.b')).toBe(join('/data', 'toolhive', 'logs', 'a.b.log'))
  expect(logs.serverLog('a.b')).toBe(join('/data', 'toolhive', 'logs', 'servers', 'a.b.log'))
})

test.each(['../up', 'a/b', ''])('the name %j is refused', async (name) => {
  const logs = createLogFiles({ dataDirectory: '/data' })
  expect(() => logs.proxyLog(name)).toThrow('invalid workload name')
  expect(() => logs.serverLog(name)).toThrow('invalid workload name')
  await expect(logs.delete(name)).rejects.toMatchObject({ code: 'invalid-name' })
})

test('deleting removes both logs with their rotated parts, and no other workload’s', async () => {
  const { logs, root } = place(['a', 'a.log', 'ab'])
  await logs.delete('a')
  await logs.delete('a')
  const left = ['a.log.log', 'a.log.log.1', 'a.log.log.2', 'ab.log', 'ab.log.1', 'ab.log.2']
  expect(namesIn(join(root, 'servers'))).toEqual(left)
  expect(namesIn(root)).toEqual([...left, 'servers'])
})

test('pruning removes the logs of names that are not kept and tells which', async () => {
  const { logs, root } = place(['gone', 'kept'])
  for (const name of ['notes.txt', 'two words.log', '.log']) writeFileSync(join(root, name), '')
  mkdirSync(join(root, 'gone.log.3'))
  const removed = await logs.prune((name) => name === 'kept')
  const parts = ['gone.log', 'gone.log.1', 'gone.log.2']
  expect(removed).toEqual([...parts, ...parts.map((file) => `servers/${file}`)])
  expect(namesIn(root)).toEqual(
    ['.log', 'gone.log.3', 'kept.log', 'kept.log.1', 'kept.log.2', 'notes.txt', 'servers', 'two words.log'].sort(),
  )
})

test('without any logs there is nothing to delete or prune', async () => {
  const logs = createLogFiles({ dataDirectory: join(scratchDirectory(), 'none') })
  await logs.delete('a')
  expect(await logs.prune(() => false)).toEqual([])
})

function place(names: string[]): { logs: LogFiles; root: string } {
  const logs = createLogFiles({ dataDirectory: scratchDirectory() })
  for (const path of names.flatMap((name) => [logs.proxyLog(name), logs.serverLog(name)])) {
    mkdirSync(dirname(path), { recursive: true })
    for (const part of ['', '.1', '.2']) writeFileSync(path + part, '')
  }
  return { logs, root: dirname(logs.proxyLog('x')) }
}
