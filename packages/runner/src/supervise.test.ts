import { PassThrough } from 'node:stream'
import { beforeEach, describe, expect, it } from 'vitest'
import { createWorkload, deleteWorkload, limits, ThvError, type Deployment, type ServerExit } from '@thv/core'
import { createFakeMachine, selfPid, type FakeMachine } from '@thv/core/fakes'
import type { BackendConnection, Proxy, ProxyConfig } from '@thv/proxy'
import { supervise } from './supervise.ts'
import type { SuperviseDeps } from './supervision.ts'

/** One server that the fake runtime started. */
interface FakeServer {
  exit: (exit: ServerExit) => void
  /** Its output ends, as its proxy sees it. */
  lose: (reason: string) => void
  lost: Promise<string>
  stopped: boolean
  /** Why it cannot be ended. */
  stopError?: Error
}

/** What a test steers. */
interface Stage {
  machine: FakeMachine
  deps: SuperviseDeps
  servers: FakeServer[]
  attached: BackendConnection[]
  detached: string[]
  proxyClosed: boolean
  proxyConfig: ProxyConfig | undefined
  /** Replaces the handshake. */
  attach: (signal: AbortSignal) => Promise<void>
  /** Called when a server was started. */
  onDeploy: (server: FakeServer) => void
  controller: AbortController
}

let stage: Stage

beforeEach(async () => {
  stage = createStage()
  const request = { source: 'npx://pkg', args: [], environment: {}, labels: {}, name: 'a' }
  await createWorkload(stage.machine.deps, { request }, () => {}, stage.controller.signal)
})

describe('supervising', () => {
  it('reports running only after the server has answered, and stopped after the end', async () => {
    const seen: string[] = []
    stage.attach = async () => {
      seen.push(stage.machine.statuses.get('a')!.status)
    }
    const result = await run(() => {
      seen.push(stage.machine.statuses.get('a')!.status)
      stage.controller.abort()
    })
    expect(result).toBe('stopped')
    expect(seen).toEqual(['starting', 'running'])
    expect(stage.servers.map((server) => server.stopped)).toEqual([true])
    expect(stage.machine.statuses.get('a')).toMatchObject({ status: 'stopped', process_id: 0 })
    expect(stage.proxyClosed).toBe(true)
  })

  it('says so when the engine does not end the server: stopped would be a lie', async () => {
    stage.onDeploy = (server) => {
      server.stopError = new ThvError('engine-unreachable', 'the container engine does not answer')
    }
    await run(() => stage.controller.abort())
    expect(stage.machine.statuses.get('a')).toMatchObject({
      status: 'error',
      status_context: expect.stringContaining('may still run: the container engine does not answer'),
    })
  })

  it('a first start that fails is not tried again and keeps the last stderr lines', async () => {
    stage.attach = async () => {
      stage.servers.at(-1)!.exit({ code: 3, signal: null })
      await new Promise(() => {})
    }
    stage.attach = rejectWhenAborted(stage.attach)
    expect(await run(() => {})).toMatchObject({ code: 'server-exited', stderr: ['last words'] })
    expect(stage.servers).toHaveLength(1)
    expect(stage.machine.statuses.get('a')).toMatchObject({
      status: 'error',
      status_context: 'the server exited with code 3',
      thv: { last_stderr: ['last words'] },
    })
  })

  it('an engine that is away at a restart is tried again, and the status says so', async () => {
    const { deploy: start } = stage.deps.runtime
    let away = 2
    const contexts: (string | undefined)[] = []
    stage.deps.runtime = {
      deploy: async (spec, signal) => {
        contexts.push(stage.machine.statuses.get('a')?.status_context)
        if (stage.servers.length === 0 || away === 0) return await start(spec, signal)
        away -= 1
        throw new ThvError('engine-unreachable', 'the engine does not run')
      },
    }
    await run(() => {
      if (stage.servers.length === 2) stage.controller.abort()
      else stage.servers.at(-1)!.exit({ code: null, signal: null, reason: 'the container engine went away' })
    })
    expect(contexts).toEqual([
      undefined,
      'the container engine went away, restarting (attempt 1)',
      'the engine does not run, restarting (attempt 2)',
      'the engine does not run, restarting (attempt 3)',
    ])
  })

  it('an engine that is away at the first start is an error', async () => {
    stage.deps.runtime = {
      deploy: async () => {
        throw new ThvError('engine-unreachable', 'the engine does not run')
      },
    }
    expect(await run(() => {})).toMatchObject({ code: 'engine-unreachable' })
  })

  it('a crash after serving restarts the server and says so', async () => {
    let served = 0
    const contexts: (string | undefined)[] = []
    const result = await run(() => {
      served += 1
      if (served === 3) stage.controller.abort()
      else {
        stage.servers.at(-1)!.exit({ code: null, signal: 'SIGSEGV' })
        contexts.push(stage.machine.statuses.get('a')?.status_context)
      }
    })
    expect(result).toBe('stopped')
    expect(stage.servers).toHaveLength(3)
    expect(stage.detached).toEqual(['the server was killed by SIGSEGV', 'the server was killed by SIGSEGV'])
  })

  it('a server that closes its output but lives is ended and restarted', async () => {
    let served = 0
    const result = await run(() => {
      served += 1
      if (served === 2) stage.controller.abort()
      else stage.servers.at(-1)!.lose('the server closed its output')
    })
    expect(result).toBe('stopped')
    expect(stage.servers.map((server) => server.stopped)).toEqual([true, true])
    expect(stage.detached).toEqual(['the server closed its output but went on running'])
  })

  it('a server that closes its output and exits is a crash with its exit as the reason', async () => {
    let served = 0
    await run(() => {
      served += 1
      if (served === 2) return stage.controller.abort()
      const server = stage.servers.at(-1)!
      server.lose('the server closed its output')
      setImmediate(() => server.exit({ code: 7, signal: null }))
    })
    expect(stage.detached).toEqual(['the server exited with code 7'])
  })

  it('a stop while a lost server is given its moment to exit ends at once', async () => {
    const { clock } = stage.machine.deps
    stage.deps.clock = {
      ...clock,
      sleep: async (ms, signal) => {
        if (stage.servers.length > 0) stage.controller.abort(new Error('asked to stop'))
        await clock.sleep(ms, signal)
      },
    }
    expect(await run(() => stage.servers.at(-1)!.lose('gone'))).toBe('stopped')
    expect(stage.machine.statuses.get('a')?.status).toBe('stopped')
  })

  it('a crash loop ends in error with the reason', async () => {
    const result = await run(() => stage.servers.at(-1)!.exit({ code: 1, signal: null }))
    expect(result).toMatchObject({ code: 'server-crash-loop' })
    expect(stage.servers).toHaveLength(limits.restartAttempts + 1)
    expect(stage.machine.statuses.get('a')).toMatchObject({
      status: 'error',
      status_context: 'the server keeps crashing: the server exited with code 1',
      process_id: 0,
    })
  })

  it('does not start a server whose port somebody else listens on', async () => {
    serveHttp(4321)
    stage.machine.busyPorts.add(4321)
    expect(await run(() => {})).toMatchObject({ code: 'port-in-use' })
    expect(stage.servers).toEqual([])
    expect(stage.machine.statuses.get('a')).toMatchObject({
      status: 'error',
      status_context: expect.stringContaining('target port 4321'),
      thv: { error_code: 'port-in-use' },
    })
  })

  it('a port that is taken while the server restarts is waited for like a crash', async () => {
    serveHttp(4321)
    let served = 0
    const result = await run(() => {
      served += 1
      if (served === 2) stage.controller.abort()
      else {
        stage.machine.busyPorts.add(4321)
        stage.servers.at(-1)!.exit({ code: 1, signal: null })
      }
    })
    expect(result).toBe('stopped')
    expect(stage.servers).toHaveLength(2)
    expect(stage.detached).toEqual([
      'the server exited with code 1',
      "the target port 4321 of 'a' is taken by another program",
    ])
  })

  it('a server that is dead when somebody answers for it is not running', async () => {
    stage.attach = async () => stage.servers.at(-1)!.exit({ code: 1, signal: null })
    let served = 0
    expect(await run(() => (served += 1))).toMatchObject({ code: 'server-exited' })
    expect(served).toBe(0)
  })

  it('writes an IPv6 target with brackets', async () => {
    serveHttp(4321, '::1')
    await run(() => stage.controller.abort())
    expect(stage.attached).toMatchObject([{ kind: 'http', origin: 'http://[::1]:4321' }])
  })

  it('a second supervisor refuses to run beside a living one', async () => {
    const record = stage.machine.statuses.get('a')!
    stage.machine.alive.set(555, 'other')
    const owner = { pid: 555, started: 'other' }
    stage.machine.statuses.set('a', { ...record, status: 'running', process_id: 555, thv: { owner } })
    await expect(run(() => {})).rejects.toMatchObject({ code: 'workload-busy' })
    expect(stage.servers).toEqual([])
  })

  it('kills what a dead predecessor left before it starts its own server', async () => {
    const record = stage.machine.statuses.get('a')!
    const server = { pid: 9, started: 'x', group: 9, marker: 'm' }
    const lanes = [{ pid: 10, started: 'x', group: 10, marker: 'n' }]
    stage.machine.statuses.set('a', { ...record, thv: { ...record.thv, server, lanes } })
    stage.onDeploy = () => {
      expect(stage.machine.reaped).toEqual([server, ...lanes])
      expect(stage.machine.statuses.get('a')?.thv?.lanes).toBeUndefined()
    }
    await run(() => stage.controller.abort())
    expect(stage.servers).toHaveLength(1)
  })

  it('opens further processes of the server, names them in the status, and ends them with the workload', async () => {
    let lanesAtReady: unknown
    const result = await run(() => {
      void (async () => {
        await stage.proxyConfig!.openLane!(new AbortController().signal)
        await stage.proxyConfig!.openLane!(new AbortController().signal)
        lanesAtReady = stage.machine.statuses.get('a')?.thv?.lanes?.length
        stage.controller.abort()
      })()
    })
    expect(result).toBe('stopped')
    expect(lanesAtReady).toBe(2)
    expect(stage.servers.map((server) => server.stopped)).toEqual([true, true, true])
    expect(stage.machine.statuses.get('a')).toMatchObject({ status: 'stopped' })
    expect(stage.machine.statuses.get('a')?.thv?.lanes).toBeUndefined()
  })

  it('a crash loop ends the further processes too, before the status says error', async () => {
    const result = await run(() => {
      const main = stage.servers.at(-1)!
      if (stage.servers.length > 1) return main.exit({ code: 1, signal: null })
      void (async () => {
        await stage.proxyConfig!.openLane!(new AbortController().signal)
        main.exit({ code: 1, signal: null })
      })()
    })
    expect(result).toMatchObject({ code: 'server-crash-loop' })
    expect(stage.servers[1]?.stopped).toBe(true)
    expect(stage.machine.statuses.get('a')?.thv?.lanes).toBeUndefined()
  })

  it('offers no further processes when the workload is pinned to one', async () => {
    const config = stage.machine.configs.get('a')!
    stage.machine.configs.set('a', { ...config, thv: { runtime: 'process', ...config.thv, lanes: 'shared' } })
    await run(() => stage.controller.abort())
    expect(stage.proxyConfig?.openLane).toBeUndefined()
  })

  it('gives the proxy what the run config says of sessions and versions', async () => {
    await run(() => stage.controller.abort())
    expect([stage.proxyConfig?.stateless, stage.proxyConfig?.strictProtocolValidation]).toEqual([undefined, undefined])
    const config = stage.machine.configs.get('a')!
    stage.machine.configs.set('a', { ...config, stateless: true, strict_protocol_validation: true, session_ttl: '1m' })
    stage.controller = new AbortController()
    await run(() => stage.controller.abort())
    expect(stage.proxyConfig).toMatchObject({
      stateless: true,
      strictProtocolValidation: true,
      limits: { sessionTtlMs: 60_000 },
    })
  })

  it('a stop during the back-off ends at once', async () => {
    const { clock } = stage.machine.deps
    stage.deps.clock = {
      ...clock,
      sleep: async (ms, signal) => {
        if (stage.detached.length > 0) stage.controller.abort(new Error('asked to stop'))
        await clock.sleep(ms, signal)
      },
    }
    expect(await run(() => stage.servers.at(-1)!.exit({ code: 1, signal: null }))).toBe('stopped')
    expect(stage.machine.statuses.get('a')?.status).toBe('stopped')
  })

  it('a workload that is removed meanwhile is not brought back by the last words', async () => {
    stage.machine.onSigterm = () => stage.controller.abort()
    const { processes } = stage.machine.deps
    const remover = { ...stage.machine.deps, processes: { ...processes, self: async () => ({ pid: 7, started: 'x' }) } }
    const ended = run(() => {
      void deleteWorkload(remover, 'a', {}, new AbortController().signal)
    })
    expect(await ended).toBe('stopped')
    stage.machine.alive.delete(selfPid)
    await expect.poll(() => stage.machine.statuses.has('a')).toBe(false)
  })
})

/** Makes the workload one whose server speaks HTTP; a taken port is free again after one look. */
function serveHttp(port: number, host = '127.0.0.1'): void {
  const config = stage.machine.configs.get('a')!
  const more = { transport: 'streamable-http' as const, target_port: port, target_host: host }
  stage.machine.configs.set('a', { ...config, ...more })
  stage.deps.ports = {
    ...stage.deps.ports,
    isFree: async (wanted) => !stage.machine.busyPorts.delete(wanted),
  }
}

async function run(onServing: () => void) {
  return await supervise(stage.deps, 'a', onServing, stage.controller.signal)
}

function createStage(): Stage {
  const machine = createFakeMachine()
  const created: Stage = {
    machine,
    servers: [],
    attached: [],
    detached: [],
    proxyClosed: false,
    proxyConfig: undefined,
    attach: async () => {},
    onDeploy: () => {},
    controller: new AbortController(),
    deps: {
      ...machine.deps,
      runtime: { deploy: async () => deploy(created) },
      createProxy: (config) => {
        created.proxyConfig = config
        return createFakeProxy(created)
      },
      openJournal: async () => ({ load: () => new Map(), write: () => {}, delete: () => {} }),
      proxyLimits: {},
      buildEnvironment: (extra) => extra,
      packageDirectory: '/',
      writeServerLine: () => {},
      network: () => 'home',
      dialerOf: () => undefined,
      readUserFile: async () => 'text',
      environmentToken: undefined,
      logins: async () => await Promise.reject(new Error('no logins here')),
      log: () => {},
      random: () => 0.5,
    },
  }
  machine.alive.set(selfPid, 'self')
  return created
}

function deploy(created: Stage): Deployment {
  let settle: (exit: ServerExit) => void = () => {}
  const exited = new Promise<ServerExit>((resolve) => {
    settle = resolve
  })
  let lose: (reason: string) => void = () => {}
  const lost = new Promise<string>((resolve) => {
    lose = resolve
  })
  const server: FakeServer = { exit: settle, lose, lost, stopped: false }
  created.servers.push(server)
  created.onDeploy(server)
  return {
    server: { pid: 42, started: 's', group: 42, marker: 'm' },
    isolation: 'none',
    stdio: { input: new PassThrough(), output: new PassThrough() },
    exited,
    lastStderr: () => ['last words'],
    stop: async () => {
      if (server.stopError !== undefined) throw server.stopError
      server.stopped = true
      settle({ code: 0, signal: null })
    },
  }
}

function createFakeProxy(created: Stage): Proxy {
  return {
    address: { host: '127.0.0.1', port: 1 },
    start: async () => {},
    attach: async (backend, signal) => {
      created.attached.push(backend)
      await rejectWhenAborted(created.attach)(signal)
      const { lost } = created.servers.at(-1)!
      return { serverName: 's', serverVersion: '1', protocolVersion: '2025-11-25', lost }
    },
    detach: (reason) => {
      created.detached.push(reason)
    },
    look: async () => ({ kind: 'alive', code: 'alive', message: 'it answers' }),
    card: async () => undefined,
    refuse: () => {},
    probe: async () => ({ code: 'alive', message: 'it answers', isBusy: false }),
    noteHealth: () => {},
    close: async () => {
      created.proxyClosed = true
    },
    stats: () => ({ sessions: 0, inFlight: 0, streams: 0 }),
  }
}

function rejectWhenAborted(action: (signal: AbortSignal) => Promise<void>): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
    })
    await Promise.race([action(signal), aborted])
  }
}

it('a status that cannot be written does not end the server, and is made up for', async () => {
  const { statuses } = stage.machine.deps
  let full = false
  stage.deps.statuses = {
    ...statuses,
    update: async (name, change, signal) => {
      if (full) throw new Error('no space left')
      return await statuses.update(name, change, signal)
    },
  }
  stage.attach = async () => {
    full = true
  }
  const ended = run(() => {
    full = false
  })
  await expect.poll(() => stage.machine.statuses.get('a')?.status, { timeout: 5_000 }).toBe('running')
  stage.controller.abort()
  expect(await ended).toBe('stopped')
})
