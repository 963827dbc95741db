import { describe, expect, it } from 'vitest'
import { compileChain } from './chain.ts'
import type { WireError } from './errors.ts'
import { parseText, type Message } from './mcp/message.ts'
import type { Middleware } from './middleware.ts'
import { bothTypes, fetchText, initialize, post } from './testing/http-client.ts'
import { startWithServer } from './testing/proxy-fixture.ts'

const silent = (): void => undefined
const request = message('{"jsonrpc":"2.0","id":1,"method":"a"}')
const context = { method: 'a', idText: '1' }

describe('compileChain', () => {
  it('has no step that no member has', () => {
    const chain = compileChain([{ name: 'nothing' }], silent)
    expect(chain).toMatchObject({
      admit: undefined,
      fromClient: undefined,
      fromServer: undefined,
      readsMessages: false,
    })
    expect(chain.wantsAnswer('a')).toBe(false)
  })

  it('takes requests from the outside in, and answers from the inside out', () => {
    const seen: string[] = []
    const member = (name: string): Middleware => ({
      name,
      fromClient: (given) => {
        seen.push(`${name} in`)
        return { message: given }
      },
      fromServer: (text) => {
        seen.push(`${name} out`)
        return `${name}(${text})`
      },
    })
    const chain = compileChain([member('outer'), member('inner')], silent)
    chain.fromClient?.(request)
    expect(chain.fromServer?.('x', context)).toBe('outer(inner(x))')
    expect(seen).toEqual(['outer in', 'inner in', 'inner out', 'outer out'])
  })

  it('ends with the first refusal', () => {
    const refused: WireError = { name: 'tool-unknown', message: 'no' }
    const never: Middleware = {
      name: 'never',
      fromClient: () => {
        throw new Error('was asked')
      },
    }
    const chain = compileChain([{ name: 'no', fromClient: () => ({ refused }) }, never], silent)
    expect(chain.fromClient?.(request)).toEqual({ refused })
  })

  it('asks a member only about the answers it wants, and about what may be anything', () => {
    const chain = compileChain([{ name: 'b', answers: new Set(['b']), fromServer: () => 'changed' }], silent)
    expect(['a', 'b', ''].map((method) => chain.wantsAnswer(method))).toEqual([false, true, true])
    expect(['a', 'b', ''].map((method) => chain.fromServer?.('x', { method, idText: '' }))).toEqual([
      'x',
      'changed',
      'changed',
    ])
  })

  it('makes a fault an error with a number that only the log explains', () => {
    const logs: (Record<string, unknown> | undefined)[] = []
    const fault = (): never => {
      throw new Error('the secret is 42')
    }
    const chain = compileChain([{ name: 'bad', fromClient: fault, fromServer: fault }], (_level, _text, fields) => {
      logs.push(fields)
    })
    const passage = chain.fromClient?.(request)
    const text = chain.fromServer?.('{"secret":true}', context)
    expect(passage).toMatchObject({ refused: { name: 'internal' } })
    expect(JSON.parse(text ?? '')).toMatchObject({ id: 1, error: { code: -32603 } })
    expect(JSON.stringify([passage, text])).not.toContain('secret')
    expect(logs.map((fields) => String(fields?.['error']).includes('the secret is 42'))).toEqual([true, true])
    expect(JSON.stringify(passage)).toContain(String(logs[0]?.['requestId']))
  })
})

describe('admission', () => {
  const deny: Middleware = {
    name: 'deny',
    admit: (_req, res) => {
      res.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end()
      return false
    },
  }
  const later = (verdict: boolean): Middleware => ({
    name: 'later',
    admit: async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return verdict
    },
  })

  it.each<[string, Middleware[], number]>([
    ['at once', [deny], 401],
    ['after a step that had to wait', [later(true), deny], 401],
  ])('can answer %s', async (_when, middleware, status) => {
    const { proxy, port } = await startWithServer({ config: { middleware } })
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(status)
    await proxy.close()
  })

  it('that waits lets the request pass with its body', async () => {
    const { proxy, port } = await startWithServer({ config: { middleware: [later(true)] } })
    expect((await post(port, { id: 1, method: 'ping' })).json).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
    await proxy.close()
  })

  it.each<[string, Middleware['admit']]>([
    [
      'throws',
      () => {
        throw new Error('the secret is 42')
      },
    ],
    ['rejects', async () => await Promise.reject(new Error('the secret is 42'))],
  ])('that %s is a 500 with a number, and the proxy goes on', async (_how, admit) => {
    let isBad = true
    const bad: Middleware = { name: 'bad', admit: (req, res) => (isBad ? (admit?.(req, res) ?? true) : true) }
    const fixture = await startWithServer({ config: { middleware: [bad] } })
    const { proxy, port } = fixture
    const refused = await post(port, { id: 1, method: 'ping' })
    expect(refused.status).toBe(500)
    expect(refused.text).not.toContain('secret')
    const record = await fixture.logged('a request failed inside the proxy')
    expect(refused.text).toContain(String(record.fields?.['requestId']))
    isBad = false
    expect((await post(port, { id: 1, method: 'ping' })).status).toBe(200)
    await proxy.close()
  })

  it('is not asked about /health', async () => {
    const { proxy, port } = await startWithServer({ config: { middleware: [deny] } })
    expect((await fetchText({ port, path: '/health' })).status).toBe(200)
    await proxy.close()
  })
})

describe('over a bridge', () => {
  it('a fault in a message step answers the call, and the process lives', async () => {
    const bad: Middleware = {
      name: 'bad',
      fromClient: ({ method }) => {
        if (method === 'tools/call') throw new Error('the secret is 42')
        return { message: request }
      },
    }
    const { proxy, port } = await startWithServer({ config: { middleware: [bad] } })
    const answer = await post(port, { id: 7, method: 'tools/call', params: { name: 'x' } })
    expect(answer).toMatchObject({ status: 500, json: { id: 7, error: { code: -32603 } } })
    await proxy.close()
  })

  it('a refused notification does not reach the server', async () => {
    const refused: WireError = { name: 'invalid-request', message: 'no' }
    const deaf: Middleware = {
      name: 'deaf',
      fromClient: (given) => (given.method === 'notifications/secret' ? { refused } : { message: given }),
    }
    const { proxy, port, server } = await startWithServer({ config: { middleware: [deaf] } })
    const headers = { 'mcp-session-id': await initialize(port), accept: bothTypes }
    expect((await post(port, { method: 'notifications/secret' }, headers)).status).toBe(202)
    expect((await post(port, { method: 'notifications/open' }, headers)).status).toBe(202)
    await server.seen(({ method }) => method === 'notifications/open')
    expect(server.received.map(({ method }) => method)).not.toContain('notifications/secret')
    await proxy.close()
  })
})

function message(text: string): Message {
  const parsed = parseText(text)
  if (parsed.kind !== 'message') throw new Error('no message')
  return parsed.message
}
