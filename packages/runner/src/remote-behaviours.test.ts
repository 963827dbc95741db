import { Client as ClientV2, StreamableHTTPClientTransport as StreamableV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as StreamableV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, it } from 'vitest'
import { limits } from '@thv/core'
import { makeCertificate } from './fixtures/make-certificate.ts'
import { openRemoteStage, stepMs, type RemoteStage } from './fixtures/remote-stage.ts'
import { normal, status, type Behaviour } from './fixtures/scripted-remote.ts'

const longest = 1 + limits.remoteJitter
/** Until the first probe after a change, and between failures. */
const intervalMs = limits.remoteIntervalMs * longest
const judgementMs = (limits.remoteFailures - 1) * limits.remoteRetryMs * longest
const waitsMs = limits.remoteFailures * limits.remoteTimeoutMs
/** From the end of an outage to the first probe. */
const backMs = limits.remoteBackOffMs * longest + stepMs

interface Trouble {
  begin: (stage: RemoteStage) => unknown
  end?: (stage: RemoteStage) => unknown
  /** What a workload becomes that was never served; default as `known`. */
  fresh?: readonly [status: string, reason: string]
  /** What one becomes that was running. */
  known: readonly [status: string, reason: string]
  /** Each probe of it waits in vain. */
  isSilent?: boolean
  /** Counts at once. */
  isAtOnce?: boolean
  /** How much longer the way back may take, because the server asks for it. */
  asksMs?: number
}

const raw =
  (text: string, { ends = true } = {}): Behaviour =>
  (req) => {
    req.socket.write(text)
    if (ends) req.socket.end()
    return true
  }
const cuts: Behaviour = (req) => {
  req.socket.destroy()
  return true
}
const hangsAfterHead: Behaviour = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json' })
  res.write('{')
  return true
}
const drips: Behaviour = (req) => {
  req.socket.write('HTTP/1.1 200 OK\r\nX-Slow: ')
  const timer = setInterval(() => req.socket.write('z'), 20)
  req.socket.on('close', () => clearInterval(timer))
  return true
}
const loops: Behaviour = (req, res) => {
  res.writeHead(307, { location: req.url === '/mcp' ? '/again' : '/mcp' }).end()
  return true
}
const wanders: Behaviour = (_req, res) => {
  res.writeHead(307, { location: `/mcp?${Math.random()}` }).end()
  return true
}
const isHuge: Behaviour = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json' })
  res.end(' '.repeat(2 * 1024 * 1024))
  return true
}
const hasHugeHead: Behaviour = (req) => {
  req.socket.write(`HTTP/1.1 200 OK\r\nX-Huge: ${'z'.repeat(4 * 1024 * 1024)}`)
  return true
}
const behaves = (behaviour: Behaviour) => (stage: RemoteStage) => (stage.remote.behave = behaviour)
const notMcp = ['unhealthy', 'remote-not-mcp'] as const
const html = status(200, { 'content-type': 'text/html' }, '<p>Log in</p>')

const troubles: Record<string, Trouble> = {
  '500 for ever': { begin: behaves(status(500)), known: ['unhealthy', 'remote-server-error'] },
  '502 of a gateway': { begin: behaves(status(502)), known: ['unhealthy', 'remote-server-error'] },
  'connections refused': {
    begin: async ({ remote }) => await remote.down(),
    end: async ({ remote }) => await remote.up(),
    known: ['unhealthy', 'remote-refused'],
  },
  'connections cut': { begin: behaves(cuts), known: ['unhealthy', 'remote-cut'] },
  'silence before the head': { begin: behaves(() => true), known: ['unhealthy', 'remote-timeout'], isSilent: true },
  'silence after the head': { begin: behaves(hangsAfterHead), known: ['unhealthy', 'remote-timeout'], isSilent: true },
  'a head that drips': { begin: behaves(drips), known: ['unhealthy', 'remote-timeout'], isSilent: true },
  '401': { begin: behaves(status(401)), known: ['unauthenticated', 'remote-unauthorized'], isAtOnce: true },
  '403': { begin: behaves(status(403)), known: ['unauthenticated', 'remote-forbidden'], isAtOnce: true },
  '404': { begin: behaves(status(404)), known: notMcp },
  '405': { begin: behaves(status(405)), known: notMcp },
  '429': { begin: behaves(status(429)), known: ['unhealthy', 'remote-rate-limited'] },
  '429 with Retry-After': {
    begin: behaves(status(429, { 'retry-after': '60' })),
    known: ['unhealthy', 'remote-rate-limited'],
    isAtOnce: true,
    asksMs: 60_000,
  },
  '503 with Retry-After': {
    begin: behaves(status(503, { 'retry-after': '20' })),
    known: ['unhealthy', 'remote-server-error'],
    isAtOnce: true,
  },
  'a redirect loop': { begin: behaves(loops), known: ['unhealthy', 'remote-redirects'] },
  'redirects without end': { begin: behaves(wanders), known: ['unhealthy', 'remote-redirects'] },
  'a redirect elsewhere': {
    begin: behaves(status(302, { location: 'https://elsewhere.test/login' })),
    known: ['unhealthy', 'remote-redirects'],
  },
  'a huge body': { begin: behaves(isHuge), known: notMcp },
  'a huge head': { begin: behaves(hasHugeHead), known: notMcp },
  'a web page': { begin: behaves(html), known: notMcp },
  'no HTTP': { begin: behaves(raw('SSH-2.0-OpenSSH_9.9\r\n')), known: notMcp },
  'a status that is none': { begin: behaves(raw('HTTP/1.1 abc Nonsense\r\n\r\n')), known: notMcp },
  'broken chunks': {
    begin: behaves(
      raw('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n'),
    ),
    known: notMcp,
  },
  'HTTP/1.0 with nonsense': { begin: behaves(raw('HTTP/1.0 200 OK\r\n\r\nhello')), known: notMcp },
}

describe.concurrent('a remote server with', () => {
  it.for(Object.entries(troubles))(
    '%s: state, reason and time are as stated, at the start and later, and old sessions go on',
    async ([_what, trouble], { expect }) => {
      await using stage = await opened({ isSilent: trouble.isSilent })
      await begin(trouble, stage)
      const [fresh, why] = trouble.fresh ?? trouble.known
      const silentMs = trouble.isSilent === true ? waitsMs : 0
      const startedMs = await stage.until(fresh, why)
      // Documented: `starting` ends within 30 s.
      expect(startedMs).toBeLessThanOrEqual(trouble.isAtOnce === true ? stepMs : judgementMs + silentMs + stepMs)
      expect(startedMs).toBeLessThanOrEqual(30_000)
      await end(trouble, stage)
      expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(backMs + (trouble.asksMs ?? 0))
      const clients = [await connectV1(stage.url()), await connectV2(stage.url())]
      for (const call of clients) expect(await call('before')).toBe('before')

      await begin(trouble, stage)
      const [known, reason] = trouble.known
      if (known === 'running') await stage.pass(60_000)
      const judgedMs = trouble.isAtOnce === true ? 0 : judgementMs + silentMs
      expect(await stage.until(known, reason)).toBeLessThanOrEqual(intervalMs + judgedMs + 2 * stepMs)
      // Nobody hangs.
      for (const call of clients) await expect(call('meanwhile')).rejects.toThrow()
      await stage.pass(60_000)
      expect(stage.record()).toMatchObject({ status: known, thv: { reason } })
      // It comes back as another process would: it knows nobody.
      stage.remote.sessions.clear()
      await end(trouble, stage)
      expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(backMs + (trouble.asksMs ?? 0))
      for (const call of clients) expect(await call('after')).toBe('after')
      expect(stage.remote.sessions.size).toBe(clients.length)
      expect(new Set(stage.history)).toEqual(
        new Set(['starting launching', `${fresh} ${why}`, 'running serving', `${known} ${reason}`]),
      )
    },
  )

  it('a certificate of somebody else', async ({ expect }) => {
    const [own, others] = [makeCertificate(), makeCertificate()]
    await using stage = await opened({ tls: own })
    stage.remote.present(others)
    expect(await stage.until('unhealthy', 'remote-tls')).toBeLessThanOrEqual(judgementMs + stepMs)
    stage.remote.present(own)
    expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(backMs)
    const call = await connectV2(stage.url())
    stage.remote.present(others)
    expect(await stage.until('unhealthy', 'remote-tls')).toBeLessThanOrEqual(intervalMs + judgementMs + 2 * stepMs)
    await expect(call('meanwhile')).rejects.toThrow(/cannot be trusted/)
    stage.remote.present(own)
    expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(backMs)
    expect(await call('after')).toBe('after')
  })

  it('a certificate of another name', async ({ expect }) => {
    await using stage = await opened({ tls: makeCertificate('DNS:another.test') })
    await stage.until('unhealthy', 'remote-tls')
    expect(stage.record()?.status_context).toMatch(/cannot be trusted/)
  })

  it('one 500 and then 200: running after one retry', async ({ expect }) => {
    await using stage = await opened()
    let failures = 1
    stage.remote.behave = (req, res, body) => (failures -= 1) >= 0 && status(500)(req, res, body)
    expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(limits.remoteRetryMs * longest + stepMs)
    expect(stage.history).toEqual(['starting launching', 'running serving'])
  })

  it('two failures of three, again and again: running all along, and calls pass', async ({ expect }) => {
    await using stage = await opened()
    await stage.until('running', 'serving')
    const call = await connectV1(stage.url())
    let probes = 0
    stage.remote.behave = (req, res, body) =>
      /"(?:ping|initialize)"/.test(body) &&
      (probes += 1) % 3 !== 0 &&
      status(probes % 2 === 0 ? 502 : 429)(req, res, body)
    await stage.pass(10 * 60_000)
    expect(probes).toBeGreaterThan(60)
    expect(stage.history).toEqual(['starting launching', 'running serving'])
    expect(await call('all along')).toBe('all along')
  })

  it('outages of a minute, again and again: each is told, and each is over', async ({ expect }) => {
    await using stage = await opened()
    await stage.until('running', 'serving')
    const call = await connectV2(stage.url())
    for (let turn = 0; turn < 5; turn += 1) {
      stage.remote.behave = status(503)
      expect(await stage.until('unhealthy', 'remote-server-error')).toBeLessThanOrEqual(
        intervalMs + judgementMs + 2 * stepMs,
      )
      await stage.pass(60_000)
      stage.remote.behave = normal
      expect(await stage.until('running', 'serving')).toBeLessThanOrEqual(backMs)
      expect(await call(`turn ${turn}`)).toBe(`turn ${turn}`)
    }
    expect(stage.history).toHaveLength(2 + 2 * 5)
  })

  it('slow answers: running, and calls wait for theirs', async ({ expect }) => {
    await using stage = await opened()
    stage.remote.behave = (req, res, body) => {
      setTimeout(() => void stage.remote.answer(req, res, body), 250)
      return true
    }
    await stage.until('running', 'serving')
    const call = await connectV2(stage.url())
    await stage.pass(60_000)
    expect(await call('in time')).toBe('in time')
    expect(stage.history).toEqual(['starting launching', 'running serving'])
  })

  it('a wake-up of a minute: unhealthy within half a minute, running within another after it has woken', async ({
    expect,
  }) => {
    await using stage = await opened({ isSilent: true })
    const wakeMs = 60_000
    let wakesAtMs = Infinity
    stage.remote.behave = () => {
      wakesAtMs = Math.min(wakesAtMs, stage.clock.monotonicMs() + wakeMs)
      return stage.clock.monotonicMs() < wakesAtMs
    }
    expect(await stage.until('unhealthy', 'remote-timeout')).toBeLessThanOrEqual(30_000)
    await stage.until('running', 'serving')
    // Asked on all the while, because the first request is what wakes it.
    expect(stage.clock.monotonicMs()).toBeLessThanOrEqual(wakesAtMs + backMs + limits.remoteTimeoutMs)
    const call = await connectV1(stage.url())
    // Asleep again: the session is there when it has woken.
    stage.remote.sessions.clear()
    wakesAtMs = Infinity
    await stage.until('unhealthy', 'remote-timeout')
    await stage.until('running', 'serving')
    expect(await call('good morning')).toBe('good morning')
  })
})

async function begin({ begin: change }: Trouble, stage: RemoteStage): Promise<void> {
  await change(stage)
}

async function end({ end: change }: Trouble, stage: RemoteStage): Promise<void> {
  if (change === undefined) stage.remote.behave = normal
  else await change(stage)
}

async function opened(...how: Parameters<typeof openRemoteStage>): Promise<RemoteStage & AsyncDisposable> {
  const stage = await openRemoteStage(...how)
  return Object.assign(stage, { [Symbol.asyncDispose]: async () => void (await stage.close()) })
}

type Call = (text: string) => Promise<string | undefined>

async function connectV1(url: string): Promise<Call> {
  const client = new ClientV1({ name: 'v1', version: '1' })
  await client.connect(new StreamableV1(new URL(url)))
  return async (text) => textOf(await client.callTool({ name: 'echo', arguments: { text } }))
}

async function connectV2(url: string): Promise<Call> {
  const client = new ClientV2({ name: 'v2', version: '1' })
  await client.connect(new StreamableV2(new URL(url)))
  return async (text) => textOf(await client.callTool({ name: 'echo', arguments: { text } }))
}

function textOf(result: object): string | undefined {
  const [first]: readonly unknown[] = 'content' in result && Array.isArray(result.content) ? result.content : []
  return typeof first === 'object' && first !== null && 'text' in first ? String(first.text) : undefined
}
