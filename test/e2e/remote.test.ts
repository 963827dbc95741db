import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  normal,
  startScriptedRemote,
  status,
  type ScriptedRemote,
} from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { connectV2, generations, type Peer } from './clients.ts'
import { eventually, fixture, openWorld, type World } from './harness.ts'

let world: World
let remote: ScriptedRemote
let peers: Peer[] = []

/** Short enough for a test, long enough for a busy machine. */
const intervals = {
  TOOLHIVE_HEALTH_CHECK_INTERVAL: '400ms',
  TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '200ms',
  TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: '1500ms',
}

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, intervals)
})

afterEach(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close()))
  peers = []
  await world.thv('rm', '--all')
  await remote.down()
})

afterAll(async () => {
  await world.close()
})

async function isStatus(name: string, wanted: string): Promise<void> {
  await eventually(`${name} is ${wanted}`, 20_000, async () =>
    (await world.status(name)).status === wanted ? true : undefined,
  )
}

interface Listed {
  status: string
  reason: string
  reason_message: string
  since: string
  remote?: boolean
  url: string
  package: string
  transport_type: string
  last_error?: { reason: string }
}

async function listed(...flags: string[]): Promise<Listed[]> {
  const found: Listed[] = JSON.parse(await world.ok('list', '--format', 'json', ...flags))
  return found
}

describe('a remote server', () => {
  it.each(generations)('serves %s on its old session after an outage', async (_name, connect) => {
    remote = await startScriptedRemote()
    await world.ok('run', '--name', 'far', `${remote.url}?key=1`)
    const [workload] = await listed()
    expect(workload).toMatchObject({ status: 'running', reason: 'serving', remote: true, package: 'remote' })
    expect(workload!.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
    expect(new Set(remote.seen.map(({ url }) => url).filter((url) => url !== '/mcp/server-card?key=1'))).toEqual(
      new Set(['/mcp?key=1']),
    )
    const peer = await connect(workload!.url)
    peers.push(peer)
    expect(await peer.text('echo', { text: 'before' })).toBe('before')
    remote.behave = status(500)
    await isStatus('far', 'unhealthy')
    const [down] = await listed()
    expect(down).toMatchObject({ status: 'unhealthy', reason: 'remote-server-error' })
    expect(down!.reason_message).toContain('HTTP 500')
    expect((await world.thv('list')).stderr).toMatch(/^far is unhealthy since .*: Health check failed: .* HTTP 500$/m)
    const began = performance.now()
    await expect(peer.text('echo', { text: 'meanwhile' })).rejects.toThrow(/HTTP 500/)
    expect(performance.now() - began).toBeLessThan(2_000)
    // It comes back as another process would: it knows nobody.
    remote.sessions.clear()
    remote.behave = normal
    await isStatus('far', 'running')
    expect(await peer.text('echo', { text: 'after' })).toBe('after')
    expect(remote.sessions.size).toBe(1)
  })

  it('that is down at the start is created all the same, explained, and runs once it is there', async () => {
    remote = await startScriptedRemote()
    await remote.down()
    const run = await world.thv('run', '--name', 'far', remote.url)
    expect(run).toMatchObject({ code: 0 })
    expect(run.stderr).toMatch(/warning: far is unhealthy: .*refuses connections/)
    const text = await world.ok('explain', 'far')
    expect(text).toMatch(/^far: unhealthy \(remote-refused\)/)
    expect(text).toMatch(/remote-refused until now/)
    expect(text).toMatch(/To do: see whether it runs/)
    const explained: { causes: unknown[]; probes: unknown[]; reason: string } = JSON.parse(
      await world.ok('explain', 'far', '--format', 'json'),
    )
    expect(explained).toMatchObject({ reason: 'remote-refused', probes: [{ reason: 'remote-refused' }] })
    expect(await world.ok('start', 'far')).not.toContain('error')
    await remote.up()
    await isStatus('far', 'running')
    expect((await listed())[0]).toMatchObject({ last_error: { reason: 'remote-refused' } })
    expect(await world.ok('explain', 'far')).toMatch(/Nothing needs to be done/)
  })

  it('keeps the session of a client over the death of its supervisor', async () => {
    remote = await startScriptedRemote()
    await world.ok('run', '--name', 'far', remote.url)
    const peer = await connectV2((await listed())[0]!.url)
    peers.push(peer)
    expect(await peer.text('echo', { text: 'before' })).toBe('before')
    process.kill((await world.status('far')).process_id, 'SIGKILL')
    const [dead] = await eventually('the death is seen', 10_000, async () => {
      const found = await listed()
      return found[0]?.status === 'running' ? undefined : found
    })
    expect(dead).toMatchObject({ status: 'unhealthy', reason: 'supervisor-gone' })
    expect(await world.ok('explain', 'far')).toMatch(/To do: run 'thv start far'/)
    await world.ok('start', 'far')
    expect(await peer.text('echo', { text: 'after' })).toBe('after')
  })

  it.each([
    ['unhealthy', status(500), 'unhealthy', 'supervisor-gone'],
    ['unauthenticated', status(401), 'unhealthy', 'supervisor-gone'],
    ['starting', (): boolean => true, 'error', 'start-interrupted'],
  ] as const)('while it is %s: a supervisor that is killed is told of, and a start goes on', async (...row) => {
    const [during, behaviour, seen, why] = row
    remote = await startScriptedRemote()
    remote.behave = behaviour
    // A start that waits for a first answer ends with its supervisor, and says so.
    const run = world.thv('run', '--name', 'far', remote.url)
    const { process_id: pid } = await eventually(`it is ${during}`, 20_000, async () => {
      const record = await world.status('far').catch(() => undefined)
      return record?.status === during && record.process_id > 0 && remote.seen.length > 0 ? record : undefined
    })
    process.kill(pid, 'SIGKILL')
    await run
    await eventually(`it is ${seen}: ${why}`, 10_000, async () => {
      const [found] = await listed('--all')
      return found?.status === seen && found.reason === why ? found : undefined
    })
    expect(await world.ok('explain', 'far')).toMatch(/To do: .*'thv start far'/)
    remote.behave = normal
    await world.ok('start', 'far')
    await isStatus('far', 'running')
    const peer = await connectV2((await listed())[0]!.url)
    peers.push(peer)
    expect(await peer.text('echo', { text: 'again' })).toBe('again')
  })

  it('keeps its port and its token over a stop and a start', async () => {
    remote = await startScriptedRemote()
    remote.behave = (req, res, body) => req.headers.authorization !== 'Bearer secret-1' && status(401)(req, res, body)
    const token = join(world.directory, 'token')
    await writeFile(token, 'wrong')
    const run = await world.thv('run', '--name', 'far', '--remote-auth-bearer-token-file', token, remote.url)
    expect(run.stderr).toMatch(/warning: far is unauthenticated: Bearer token authentication failed/)
    const [before] = await listed()
    expect(before).toMatchObject({ status: 'unauthenticated', reason: 'remote-unauthorized' })
    await writeFile(token, 'secret-1\n')
    await isStatus('far', 'running')
    await world.ok('stop', 'far')
    expect(await listed()).toEqual([])
    await world.ok('start', 'far')
    expect((await listed())[0]).toMatchObject({ status: 'running', url: before!.url })
    expect(await world.ok('logs', 'far', '--proxy')).not.toContain('secret-1')
  })

  it('gets the token of the environment only when it was run with it', async () => {
    remote = await startScriptedRemote()
    const environment = { TOOLHIVE_REMOTE_AUTH_BEARER_TOKEN: 'secret-2' }
    await world.run(['run', '--name', 'with', remote.url], { environment })
    await world.ok('run', '--name', 'without', `${remote.url}?plain`)
    await world.run(['restart', 'with', 'without'], { environment })
    const sent = (url: string): Set<string | undefined> =>
      new Set(remote.seen.filter((request) => request.url === url).map(({ authorization }) => authorization))
    expect(sent('/mcp')).toEqual(new Set(['Bearer secret-2']))
    expect(sent('/mcp?plain')).toEqual(new Set([undefined]))
  })

  it('is found to be of the old transport', async () => {
    remote = await startScriptedRemote()
    const server = await openWorld()
    try {
      await server.ok('run', '--name', 'old', '--transport', 'sse', '--', ...fixture('http-server.mjs'))
      const { target_port: port }: { target_port: number } = JSON.parse(await exported(server, 'old'))
      await world.ok('run', '--name', 'far', `http://127.0.0.1:${port}/sse`)
      const [workload] = await listed()
      expect(workload).toMatchObject({ status: 'running', transport_type: 'sse' })
      expect(workload!.url).toMatch(/\/sse#far$/)
      const peer = await generations[0]![1](workload!.url)
      peers.push(peer)
      expect(await peer.text('echo', { message: 'through' })).toBe('through')
    } finally {
      await world.thv('rm', 'far')
      await server.close()
    }
  })

  it.each([
    ['http://example.com/mcp', /without TLS/],
    ['https://me:secret@example.com/mcp', /a user or a password/],
    ['https://example.com/mcp#part', /fragment/],
  ])('at %s is refused with the reason', async (url, why) => {
    remote = await startScriptedRemote()
    const run = await world.thv('run', '--name', 'far', url)
    expect(run.code).not.toBe(0)
    expect(run.stderr).toMatch(why)
    expect(run.stderr).not.toContain('secret')
    expect(await listed('--all')).toEqual([])
  })
})

async function exported(of: World, name: string): Promise<string> {
  return await of.ok('export', name, '/dev/stdout')
}
