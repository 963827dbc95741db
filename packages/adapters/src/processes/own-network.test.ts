import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { fixtureCommand } from './fixtures/commands.ts'
import { openOwnNetwork, type OwnNetwork } from './own-network.ts'
import { bubblewrapPath, currentUser } from './sandbox-probe.ts'

const hasBubblewrap = spawnSync(bubblewrapPath, ['--version']).status === 0
/** Reads no input, so only a kill ends it. */
const deaf = ['-e', 'setInterval(() => {}, 1000)']
const obedient = 'read -r order; echo ready; exec cat'
const opened: OwnNetwork[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(async (network) => await network.close()))
})

async function open(script: string): Promise<OwnNetwork> {
  const holder = ['/bin/sh', '-c', script]
  const network = await openOwnNetwork({ bubblewrap: bubblewrapPath, user: currentUser(), holder })
  opened.push(network)
  return network
}

function run(network: OwnNetwork, ...command: string[]): string {
  const [executable = '', ...args] = network.enter(command)
  return execFileSync(executable, args, { encoding: 'utf8' })
}

async function running(name: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
  const lines = await Promise.all(
    pids.map(async (pid) => await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  )
  return lines.filter((line) => line.includes(name))
}

async function gone(name: string): Promise<string[]> {
  const until = performance.now() + 10_000
  while ((await running(name)).length > 0 && performance.now() < until) await delay(20)
  return await running(name)
}

describe.skipIf(!hasBubblewrap)('a network of its own (missing: bubblewrap)', () => {
  it('is another one than ours, the same for whoever enters, and nothing of ours is reached in it', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const network = await open(obedient)
    const seen = run(network, 'readlink', '/proc/self/ns/net')
    expect(seen).not.toBe(`${await readlink('/proc/self/ns/net')}\n`)
    expect(run(network, 'readlink', '/proc/self/ns/net')).toBe(seen)
    const dial = `require('net').connect(${port}, '127.0.0.1').on('connect', () => process.exit(1)).on('error', (error) => console.log(error.code))`
    expect(run(network, process.execPath, '-e', dial)).toBe('ECONNREFUSED\n')
    server.close()
  })

  it('gives who enters no power over it', async () => {
    expect(run(await open(obedient), 'grep', 'CapEff', '/proc/self/status')).toBe('CapEff:\t0000000000000000\n')
  })

  it('cannot be entered any more when it was closed, and its holder is gone', async () => {
    const name = randomUUID()
    const holder = [process.execPath, ...deaf, name]
    const network = await openOwnNetwork({ bubblewrap: bubblewrapPath, user: currentUser(), holder })
    expect(await running(name)).not.toEqual([])
    await network.close()
    expect(await running(name)).toEqual([])
    expect(() => run(network, 'true')).toThrow('nsenter')
  })

  it('takes an order, and tells why its holder cannot obey it', async () => {
    const network = await open(obedient)
    await network.order({ some: 'order' })
    const other = await open('read -r order; echo "the port is taken" >&2; exit 1')
    await expect(other.order({})).rejects.toMatchObject({
      code: 'isolation-unavailable',
      message: expect.stringContaining('the port is taken'),
    })
  })

  it('of a holder that cannot start is an error with the reason', async () => {
    const impossible = openOwnNetwork({ bubblewrap: '/nonexistent/bwrap', user: currentUser(), holder: ['/bin/cat'] })
    await expect(impossible).rejects.toMatchObject({ code: 'isolation-unavailable' })
  })

  it('ends with whoever opened it, also by SIGKILL and when its holder reads nothing', async () => {
    const name = randomUUID()
    const [executable, ...args] = fixtureCommand('network-owner.ts')
    const owner = spawn(executable, [...args, process.execPath, ...deaf, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(owner.stdout, 'data')
    expect((await running(name)).length).toBeGreaterThan(1)
    owner.kill('SIGKILL')
    expect(await gone(name)).toEqual([])
  })
})
