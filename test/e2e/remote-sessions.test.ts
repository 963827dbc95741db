import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { eventually, openWorld, root, type World } from './harness.ts'

let world: World

/** What a server says of itself. */
interface Count {
  /** Sessions that it keeps. */
  sessions: number
  /** Requests that it got. */
  asked: number
}

beforeAll(async () => {
  world = await openWorld()
  world.environment['TOOLHIVE_HEALTH_CHECK_INTERVAL'] = '100ms'
})

afterAll(async () => {
  await world.close()
})

describe('after 20 probes the sessions of a remote server are as few as after the handshake', () => {
  // The first keeps a session for each request without one, and also those that were ended.
  it.for(['mcp==1.26.0', 'mcp'])('on a server of the Python SDK (%s)', async (version, ctx) => {
    if (spawnSync('uv', ['--version']).status !== 0) ctx.skip('missing: uv')
    const origin = await startPython(version)
    const count = async (): Promise<Count> => JSON.parse(await (await fetch(`${origin}/count`)).text())
    await world.ok('run', '--name', 'python', `${origin}/mcp`)
    onTestFinished(async () => void (await world.thv('rm', 'python')))
    const { sessions, asked } = await count()
    // One of the handshake, one of the question for the era, and one of the question for its card: it takes every path.
    expect(sessions).toBeLessThanOrEqual(3)
    await eventually('20 probes', 20_000, async () => ((await count()).asked >= asked + 20 ? true : undefined))
    expect((await count()).sessions).toBeLessThanOrEqual(3)
    expect(await world.status('python')).toMatchObject({ status: 'running' })
  })

  it('on server-everything', async () => {
    const port = await freePort()
    const source = 'npx://@modelcontextprotocol/server-everything'
    const flags = ['--transport', 'streamable-http', '--target-port', String(port)]
    await world.ok('run', '--name', 'near', ...flags, source, '--', 'streamableHttp')
    const count = async (): Promise<Count> => {
      const log = await world.ok('logs', 'near')
      const times = (text: string): number => log.split(text).length - 1
      return {
        sessions: times('Session initialized with ID') - times('Received session termination request'),
        asked: times('Received MCP POST request'),
      }
    }
    await world.ok('run', '--name', 'far', `http://127.0.0.1:${port}/mcp`)
    const { asked } = await count()
    expect(asked).toBeGreaterThan(0)
    await eventually('20 probes', 20_000, async () => ((await count()).asked >= asked + 40 ? true : undefined))
    expect(await count()).toMatchObject({ sessions: 0 })
    expect(await world.status('far')).toMatchObject({ status: 'running' })
  })
})

/** Resolves to where it listens. */
async function startPython(version: string): Promise<string> {
  const file = join(root, 'test/fixtures/mcp-servers/sessions-server.py')
  const args = ['run', '--quiet', '--no-project', '--with', version, '--with', 'uvicorn', 'python', file]
  const child = spawn('uv', args, { stdio: ['ignore', 'pipe', 'inherit'], env: world.environment })
  onTestFinished(async () => {
    const end = once(child, 'exit')
    child.kill()
    await end
  })
  const [chunk]: unknown[] = await once(child.stdout, 'data')
  return `http://127.0.0.1:${String(chunk).trim()}`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
