import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLimits } from '../limits.ts'
import { answerHandshake, startPeer, type PeerFixture } from '../testing/peer-server.ts'
import { HttpLegacyPeer } from './http-legacy-peer.ts'

const fixtures: PeerFixture[] = []

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.close()
})

/** A peer whose handshake is done. */
async function ready(limits: Partial<ProxyLimits> = {}): Promise<PeerFixture> {
  const fixture = await startPeer((options, deps) => new HttpLegacyPeer(options, deps), limits)
  fixtures.push(fixture)
  await fixture.call('initialize', { protocolVersion: '2025-11-25' }).ended
  fixture.peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  await fixture.askedFor('GET')
  return fixture
}

const listChanged = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }

describe('a Legacy server behind HTTP', () => {
  it('is told the session and the version on everything after initialize', async () => {
    const fixture = await ready()
    await fixture.call('tools/list').ended
    const [initialize, ...later] = fixture.asked
    expect(initialize?.headers).not.toHaveProperty('mcp-session-id')
    expect(later.map(({ name }) => name)).toEqual(['notifications/initialized', 'GET', 'tools/list'])
    for (const { headers } of later) {
      expect(headers).toMatchObject({ 'mcp-session-id': 'session-1', 'mcp-protocol-version': '2025-11-25' })
    }
  })

  it('hears of no call before it has taken the end of the handshake', async () => {
    const fixture = await startPeer((options, deps) => new HttpLegacyPeer(options, deps))
    fixtures.push(fixture)
    await fixture.call('initialize').ended
    let take: () => void = () => undefined
    fixture.answer = (asked) => {
      if (asked.name === 'notifications/initialized') take = () => void asked.res.writeHead(202).end()
      else answerHandshake(asked)
    }
    fixture.peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    const listed = fixture.call('tools/list')
    await fixture.askedFor('notifications/initialized')
    expect(fixture.asked.map(({ name }) => name)).not.toContain('tools/list')
    take()
    expect(await listed.ended).toMatchObject({ result: { echo: 'tools/list' } })
  })

  it('gets ids and progress tokens of its own, and each client its own back', async () => {
    const fixture = await ready()
    fixture.answer = (asked) => {
      const { progressToken } = (asked.body['params'] as { _meta: { progressToken: number } })._meta
      asked.event({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } })
      asked.event({ jsonrpc: '2.0', id: asked.body['id'], result: { name: asked.name } })
      asked.res.end()
    }
    const ids = [0, '', 'a', 2 ** 40, 0]
    const calls = ids.map((id, index) => fixture.call(`m/${index}`, { _meta: { progressToken: 'same' } }, id))
    for (const [index, { ended, progress }] of calls.entries()) {
      expect(await ended).toEqual({ jsonrpc: '2.0', id: ids[index], result: { name: `m/${index}` } })
      expect(progress.map((text) => JSON.parse(text).params.progressToken)).toEqual(['same'])
    }
    const hopIds = fixture.asked.slice(-ids.length).map(({ body }) => body['id'])
    expect(new Set(hopIds).size).toBe(ids.length)
  })

  it('is answered with a refusal when it asks something, and its ping is answered', async () => {
    const fixture = await ready()
    fixture.answer = (asked) => {
      if (asked.name !== 'tools/call') return answerHandshake(asked)
      asked.event({ jsonrpc: '2.0', id: 'q1', method: 'elicitation/create', params: {} })
      asked.event({ jsonrpc: '2.0', id: 'q2', method: 'ping' })
    }
    fixture.call('tools/call')
    const answers = [await fixture.askedFor('response', 1), await fixture.askedFor('response', 2)].map(
      ({ body }) => body,
    )
    expect(answers).toContainEqual({
      jsonrpc: '2.0',
      id: 'q1',
      error: { code: -32601, message: 'Method not found: elicitation/create' },
    })
    expect(answers).toContainEqual({ jsonrpc: '2.0', id: 'q2', result: {} })
  })

  it('has its stream taken up again where it was, not sooner than it asks for', async () => {
    const fixture = await startPeer((options, deps) => new HttpLegacyPeer(options, deps))
    fixtures.push(fixture)
    const opened: number[] = []
    fixture.answer = (asked) => {
      if (asked.name !== 'GET') return answerHandshake(asked)
      opened.push(performance.now())
      asked.event(listChanged, `e${opened.length}`)
      if (opened.length < 3) asked.res.end('retry: 120\n\n')
    }
    await fixture.call('initialize').ended
    fixture.peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    const third = await fixture.askedFor('GET', 3)
    expect(third.headers['last-event-id']).toBe('e2')
    expect((opened[1] ?? 0) - (opened[0] ?? 0)).toBeGreaterThanOrEqual(115)
    await expect.poll(() => fixture.notified.length).toBe(3)
  })

  it.each([404, 405, 400])('that answers GET with %i is not asked again', async (status) => {
    const fixture = await startPeer((options, deps) => new HttpLegacyPeer(options, deps))
    fixtures.push(fixture)
    fixture.answer = (asked) => (asked.name === 'GET' ? void asked.res.writeHead(status).end() : answerHandshake(asked))
    await fixture.call('initialize').ended
    fixture.peer.notify('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    await fixture.askedFor('GET')
    for (let count = 0; count < 5; count += 1) await fixture.call('tools/list').ended
    expect(fixture.asked.filter(({ name }) => name === 'GET')).toHaveLength(1)
    expect(fixture.lost).toEqual([])
  })

  it('may end the stream of a call and go on with it on the next one', async () => {
    const fixture = await ready()
    let id: unknown
    fixture.answer = (asked) => {
      if (asked.name === 'tools/call') {
        ;({ id } = asked.body)
        asked.event('', 'prime-1')
        asked.res.end('retry: 10\n\n')
      } else {
        asked.event({ jsonrpc: '2.0', id, result: { resumed: asked.headers['last-event-id'] } }, 'two')
      }
    }
    const { ended } = fixture.call('tools/call', {}, 'mine')
    expect(await ended).toEqual({ jsonrpc: '2.0', id: 'mine', result: { resumed: 'prime-1' } })
    const resumed = await fixture.askedFor('GET', 2)
    if (!resumed.res.closed) await once(resumed.res, 'close')
  })

  it('is told of a cancellation under the id it knows, and its late answer is dropped', async () => {
    const fixture = await ready()
    fixture.answer = (asked) => (asked.name === 'tools/call' ? undefined : answerHandshake(asked))
    const { call, ended } = fixture.call('tools/call', {}, 'mine')
    const { body, res } = await fixture.askedFor('tools/call')
    fixture.peer.cancel(call, 'enough')
    expect(await ended).toEqual({ cancelled: true })
    const cancelled = await fixture.askedFor('notifications/cancelled')
    expect(cancelled.body['params']).toEqual({ requestId: body['id'], reason: 'enough' })
    if (!res.closed) await once(res, 'close')
    expect(fixture.peer.inFlight).toBe(0)
  })

  it.each([404, 400])(
    'that has forgotten the session (%i) ends the peer; its call did not run, the others may have',
    async (status) => {
      const fixture = await ready()
      fixture.answer = (asked) =>
        asked.name === 'slow' ? undefined : void asked.res.writeHead(status).end('no session')
      const slow = fixture.call('slow')
      await fixture.askedFor('slow')
      const refused = fixture.call('tools/call')
      expect(await refused.ended).toMatchObject({ refused: 'server-absent', outcome: 'not-sent' })
      expect(await slow.ended).toMatchObject({ refused: 'server-stopped', outcome: 'unknown' })
      expect(fixture.lost).toHaveLength(1)
      expect(fixture.asked.map(({ name }) => name)).not.toContain('DELETE')
    },
  )

  it.each<[string, (fixture: PeerFixture) => void, object]>([
    [
      'is cut off',
      (fixture) => (fixture.answer = ({ res }) => void res.destroy()),
      { refused: 'backend-unreachable', outcome: 'unknown' },
    ],
    [
      'ends its stream without a response',
      (fixture) => (fixture.answer = (asked) => (asked.event(listChanged), void asked.res.end())),
      { refused: 'backend-unreachable', outcome: 'unknown' },
    ],
    [
      'answers with a page of an error',
      (fixture) => (fixture.answer = ({ res }) => void res.writeHead(503).end('<h1>down</h1>')),
      { refused: 'backend-refused', outcome: 'unknown' },
    ],
    [
      'turns it down without a word',
      (fixture) => (fixture.answer = ({ res }) => void res.writeHead(429).end()),
      { refused: 'backend-refused', outcome: 'not-sent' },
    ],
    [
      'sends the caller to another origin',
      (fixture) =>
        (fixture.answer = ({ res }) => void res.writeHead(307, { location: 'http://localhost:9/mcp' }).end()),
      { refused: 'backend-refused', outcome: 'unknown' },
    ],
    [
      'answers more than anybody wants',
      (fixture) => (fixture.answer = ({ res }) => void res.writeHead(200).end('x'.repeat(5_000))),
      { refused: 'answer-too-large' },
    ],
    [
      'sends an event without an end',
      (fixture) =>
        (fixture.answer = ({ res }) =>
          void res.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${'x'.repeat(5_000)}`)),
      { refused: 'answer-too-large' },
    ],
    [
      'refuses it in an error without an id',
      (fixture) =>
        (fixture.answer = ({ res }) =>
          void res.writeHead(400).end('{"jsonrpc":"2.0","error":{"code":-32000,"message":"no","x":9e99}}')),
      { id: 1, error: { code: -32000, message: 'no', x: 9e99 } },
    ],
  ])('a call to a server that %s ends and says how', async (_what, script, expected) => {
    const fixture = await ready({ lineBytes: 4_000 })
    script(fixture)
    expect(await fixture.call('tools/call').ended).toMatchObject(expected)
    expect(fixture.peer.inFlight).toBe(0)
  })

  it('is told that the session ends', async () => {
    const fixture = await ready()
    fixture.peer.close('over')
    expect((await fixture.askedFor('DELETE')).headers['mcp-session-id']).toBe('session-1')
  })
})
