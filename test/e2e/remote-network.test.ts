import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  startScriptedRemote,
  status,
  normal,
  type ScriptedRemote,
} from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { startApi } from './api-server.ts'
import { connectV1 } from './clients.ts'
import { eventually, openWorld, root, type World } from './harness.ts'

/** Whether names can be made known and unknown to one program alone. */
const hasOwnMounts = spawnSync('unshare', ['-m', 'mount', '--bind', '/etc/hosts', '/etc/hosts']).status === 0

let world: World
let remote: ScriptedRemote

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, {
    TOOLHIVE_HEALTH_CHECK_INTERVAL: '300ms',
    TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: '150ms',
    TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: '1500ms',
  })
})

beforeEach(async () => {
  remote = await startScriptedRemote()
})

afterEach(async () => {
  await world.thv('rm', '--all')
  await remote.down()
})

afterAll(async () => {
  await world.close()
})

interface Listed {
  status: string
  reason: string
  url: string
}

async function becomes(wanted: string, reason: string): Promise<Listed> {
  return await eventually(`it is ${wanted} because of ${reason}`, 20_000, async () => {
    const [found]: Listed[] = JSON.parse(await world.ok('list', '--all', '--format', 'json'))
    return found?.status === wanted && found.reason === reason ? found : undefined
  })
}

describe('a remote server', () => {
  it('is the only one that is ever contacted, in good times and in bad ones', async () => {
    const recorded = join(world.directory, 'connections')
    await writeFile(recorded, '')
    const recorder = pathToFileURL(join(root, 'test/fixtures/record-connections.mjs')).href
    const environment = { NODE_OPTIONS: `--import=${recorder}`, THV_TEST_CONNECTIONS: recorded }
    const run = await world.run(['run', '--name', 'far', remote.url], { environment })
    expect(run.code).toBe(0)
    const { url } = await becomes('running', 'serving')
    const peer = await connectV1(url)
    expect(await peer.text('echo', { text: 'hello' })).toBe('hello')
    for (const location of ['https://elsewhere.test/', 'http://127.0.0.1:9/']) {
      remote.behave = status(307, { location })
      await becomes('unhealthy', 'remote-redirects')
      remote.behave = normal
      await becomes('running', 'serving')
    }
    expect(await peer.text('echo', { text: 'still' })).toBe('still')
    await peer.close()
    // Its own proxy too: `thv run` looks whether its port answers.
    const lines = new Set((await readFile(recorded, 'utf8')).trim().split('\n'))
    expect(lines).toContain(`address 127.0.0.1:${remote.port}`)
    expect([...lines].filter((line) => line !== `address 127.0.0.1:${remote.port}`)).toEqual(
      [...lines].filter((line) => line === `address 127.0.0.1:${new URL(url).port}`),
    )
  })

  it.skipIf(!hasOwnMounts)(
    'whose name is gone is told so, and is back with its name, on the old session; missing: unshare -m where this is skipped',
    async () => {
      const [hosts, switches] = [join(world.directory, 'hosts'), join(world.directory, 'nsswitch.conf')]
      const known = '127.0.0.1 localhost far-host\n'
      await writeFile(hosts, known)
      await writeFile(switches, 'hosts: files\n')
      const script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
      const program = join(root, 'apps/thv/bin/thv.mjs')
      const command = [process.execPath, program, 'run', '--name', 'far', remote.url.replace('127.0.0.1', 'far-host')]
      const run = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', hosts, switches, ...command], {
        env: world.environment,
        encoding: 'utf8',
      })
      expect([run.status, run.stderr]).toEqual([0, run.stderr])
      const peer = await connectV1((await becomes('running', 'serving')).url)
      await writeFile(hosts, '127.0.0.1 localhost\n')
      // Connections that are open need no name.
      remote.cut()
      await becomes('unhealthy', 'remote-dns')
      await expect(peer.text('echo', { text: 'meanwhile' })).rejects.toThrow(/cannot be resolved/)
      await writeFile(hosts, known)
      await becomes('running', 'serving')
      expect(await peer.text('echo', { text: 'after' })).toBe('after')
      await peer.close()
    },
  )

  it('is explained by the API as by the command, with and without a server', async () => {
    await remote.down()
    await world.thv('run', '--name', 'far', remote.url)
    await becomes('unhealthy', 'remote-refused')
    const api = await startApi(world)
    try {
      const answer = await api.call('GET', '/workloads/far/explain')
      expect(answer.status).toBe(200)
      const explanation = answer.json<object>()
      expect(explanation).toMatchObject({
        status: 'unhealthy',
        reason: 'remote-refused',
        probes: [{ reason: 'remote-refused' }],
        todo: expect.stringContaining('see whether it runs'),
      })
      const environment = { TOOLHIVE_API_URL: api.origin }
      for (const options of [{ environment }, { environment: { THV_NO_SERVER: '1' } }, {}]) {
        const { code, stdout, stderr } = await world.run(['explain', 'far', '--format', 'json'], options)
        expect([code, stderr]).toEqual([0, ''])
        expect(JSON.parse(stdout)).toEqual(explanation)
      }
      expect((await api.call('GET', '/workloads/nobody/explain')).status).toBe(404)
      expect((await world.run(['explain', 'nobody'], { environment })).stderr).toMatch(/'?nobody'? .*not found/)
    } finally {
      await api.end()
    }
  })
})
