import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOsKeyring } from './os-keyring.ts'

const { signal } = new AbortController()
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'thv-keyring-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a keyring that answers', () => {
  it('keeps, gives and forgets a password', async () => {
    const keeper = scripted(answering)
    expect(await keeper.read(signal)).toEqual({})
    expect(await keeper.keep('p"é', signal)).toBe(true)
    expect(await scripted(answering).read(signal)).toEqual({ password: 'p"é' })
    expect(await keeper.forget(signal)).toBe(true)
    expect(await keeper.read(signal)).toEqual({})
  })
})

describe('a keyring that cannot be used', () => {
  it.each([
    ['says why', `console.log(JSON.stringify({ problem: 'locked' }))`, 'cannot be used: locked'],
    ['answers nonsense', `console.log('<html>')`, 'cannot be used: no answer'],
    [
      'fails',
      `console.error('cannot find libsecret'); process.exit(1)`,
      'cannot be used: says "cannot find libsecret"',
    ],
    ['ends without reading', `process.exit(3)`, 'cannot be used: fails'],
    ['hangs', `setInterval(() => {}, 1000)`, 'cannot be used: does not answer'],
    ['never stops talking', `for (;;) require('fs').writeSync(1, 'x'.repeat(65536))`, 'cannot be used: fails'],
  ])(
    '%s',
    async (_, script, problem) => {
      const keeper = scripted(script, 2_000)
      expect(await keeper.read(signal)).toEqual({ problem })
      expect(await keeper.keep('p', signal)).toBe(false)
      expect(await keeper.forget(signal)).toBe(false)
    },
    30_000,
  )

  it('is not there at all', async () => {
    const keeper = createOsKeyring({ command: ['/nonexistent'], environment: {} })
    expect(await keeper.read(signal)).toEqual({ problem: 'cannot be used: cannot be asked' })
  })

  it('is one without a desktop: the real library says so', async (context) => {
    if (process.platform !== 'linux') context.skip('missing: a system without a keyring')
    const main = fileURLToPath(new URL('fixtures/keyring.ts', import.meta.url))
    const command = [process.execPath, '--conditions=@thv/source', '--import', 'tsx', main]
    const environment = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${directory}/none`, PATH: process.env['PATH'] ?? '' }
    const keeper = createOsKeyring({ command, environment })
    expect(await keeper.read(signal)).toEqual({ problem: expect.stringMatching(/^cannot be used: \w/) })
    expect(await keeper.keep('p', signal)).toBe(false)
  }, 30_000)
})

const answering = `
const fs = require('fs')
const file = process.argv[1]
const order = JSON.parse(fs.readFileSync(0, 'utf8'))
if (order.do === 'keep') fs.writeFileSync(file, order.password)
if (order.do === 'forget') fs.rmSync(file)
const password = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
console.log(JSON.stringify(order.do === 'read' ? { password } : { done: true }))
`

function scripted(script: string, timeoutMs?: number): ReturnType<typeof createOsKeyring> {
  const command = [process.execPath, '-e', script, join(directory, 'kept')]
  return createOsKeyring({ command, environment: {}, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
}
