import {
  Client as ClientV2,
  SSEClientTransport as SseV2,
  StreamableHTTPClientTransport as HttpV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, isAlive, openWorld, type World } from './harness.ts'

const everything = 'npx://@modelcontextprotocol/server-everything@2026.8.31'

/** What the tests need of a client, whichever SDK it is from. */
interface EchoClient {
  sessionId(): string | undefined
  echo(message: string): Promise<string>
  tools(): Promise<number>
  end(): Promise<void>
  close(): Promise<void>
}

type Version = 'v1' | 'v2'

let world: World

beforeAll(async () => {
  world = await openWorld()
})
afterAll(async () => await world.close())

async function openClient(version: Version, url: URL): Promise<EchoClient> {
  const isSse = url.pathname === '/sse'
  const about = { name: `e2e-${version}`, version: '1' }
  if (version === 'v1') {
    const client = new ClientV1(about)
    const transport = isSse ? new SseV1(url) : new HttpV1(url)
    await client.connect(transport)
    return wrap(client, transport)
  }
  const client = new ClientV2(about)
  const transport = isSse ? new SseV2(url) : new HttpV2(url)
  await client.connect(transport)
  return wrap(client, transport)
}

function wrap(client: ClientV1 | ClientV2, transport: HttpV1 | HttpV2 | SseV1 | SseV2): EchoClient {
  return {
    sessionId: () => ('sessionId' in transport ? transport.sessionId : undefined),
    echo: async (message) => {
      const result = (await client.callTool({ name: 'echo', arguments: { message } })) as {
        content: { text: string }[]
      }
      return String(result.content[0]?.text)
    },
    tools: async () => (await client.listTools()).tools.length,
    end: async () => {
      if ('terminateSession' in transport) await transport.terminateSession()
    },
    close: async () => await client.close(),
  }
}

async function runEverything(name: string, transport: 'streamable-http' | 'sse', ...flags: string[]): Promise<URL> {
  const argument = transport === 'sse' ? 'sse' : 'streamableHttp'
  await world.ok('run', '--name', name, '--transport', transport, ...flags, everything, '--', argument)
  const workload = (await world.list()).find((listed) => listed.name === name)
  return new URL(workload?.url.replace(/#.*/, '') ?? '')
}

/** Right after a restart the status may still name the one before. */
async function killServer(name: string): Promise<void> {
  const pid = await eventually('its server lives', 10_000, async () => {
    const server = (await world.status(name)).thv?.server
    return server !== undefined && (await isAlive(server.pid)) ? server.pid : undefined
  })
  process.kill(pid, 'SIGKILL')
}

/** Calls until an answer comes; errors are what a client may see while the server is away. */
async function echoUntilAnswered(client: EchoClient, message: string): Promise<{ text: string; errors: string[] }> {
  const errors: string[] = []
  for (;;) {
    try {
      return { text: await client.echo(message), errors }
    } catch (error) {
      errors.push(String(error))
      if (errors.length > 20) throw error
      await delay(20)
    }
  }
}

describe('server-everything over Streamable HTTP', () => {
  let url: URL
  beforeAll(async () => {
    url = await runEverything('web', 'streamable-http')
  })

  it.each<Version>(['v1', 'v2'])('serves a client of SDK %s, and its session ends with DELETE', async (version) => {
    const client = await openClient(version, url)
    const id = client.sessionId()
    expect(await client.echo('hello')).toBe('Echo: hello')
    expect(await client.tools()).toBeGreaterThan(5)
    await client.end()
    await client.close()
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': String(id),
      },
      body: '{"jsonrpc":"2.0","id":"a","method":"ping"}',
    })
    expect([answer.status, await answer.json()]).toEqual([
      404,
      { jsonrpc: '2.0', id: 'a', error: { code: -32001, message: 'Session not found' } },
    ])
  })

  it('keeps the sessions of 20 clients when the server is killed, and crosses no answers', async () => {
    const versions: Version[] = ['v1', 'v2']
    const clients = await Promise.all(Array.from({ length: 20 }, (_, index) => openClient(versions[index % 2]!, url)))
    const ids = clients.map((client) => client.sessionId())
    expect(new Set(ids).size).toBe(20)
    await Promise.all(
      clients.map(async (client, index) => expect(await client.echo(`${index}`)).toBe(`Echo: ${index}`)),
    )
    const began = performance.now()
    await killServer('web')
    const recovered = await Promise.all(
      clients.map(async (client, index) => {
        const { text, errors } = await echoUntilAnswered(client, `after ${index}`)
        return { text, errors, milliseconds: Math.round(performance.now() - began) }
      }),
    )
    expect(recovered.map(({ text }) => text)).toEqual(clients.map((_, index) => `Echo: after ${index}`))
    expect(clients.map((client) => client.sessionId())).toEqual(ids)
    for (const error of recovered.flatMap(({ errors }) => errors)) expect(error).toMatch(/may have run|was not sent/)
    const times = recovered.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b)
    const errors = recovered.reduce((sum, entry) => sum + entry.errors.length, 0)
    console.log(`recovery after SIGKILL, 20 sessions: first ${times[0]} ms, last ${times.at(-1)} ms, ${errors} errors`)
    for (let round = 0; round < 5; round += 1) {
      const texts = clients.map(async (client, index) => await client.echo(`${round}/${index}`))
      expect(await Promise.all(texts)).toEqual(clients.map((_, index) => `Echo: ${round}/${index}`))
    }
    await Promise.all(clients.map(async (client) => await client.close()))
  })

  it('does so again and again while 20 clients call without a pause', async () => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, index) => openClient(index % 2 === 0 ? 'v1' : 'v2', url)),
    )
    const ids = clients.map((client) => client.sessionId())
    const over = new AbortController()
    let answers = 0
    const lost: string[] = []
    const calling = clients.map(async (client, index) => {
      for (let count = 0; !over.signal.aborted; count += 1) {
        const message = `${index}:${count}`
        try {
          const text = await client.echo(message)
          if (text !== `Echo: ${message}`) throw new TypeError(`crossed: ${text} for ${message}`)
          answers += 1
        } catch (error) {
          if (error instanceof TypeError) throw error
          lost.push(String(error))
        }
      }
    })
    for (let round = 0; round < 3; round += 1) {
      await delay(500)
      await killServer('web')
      const before = answers
      await eventually('calls are answered again', 20_000, async () => (answers > before + 40 ? true : undefined))
    }
    over.abort()
    await Promise.all(calling)
    console.log(`three kills under load: ${answers} answers, ${lost.length} calls told to be lost`)
    for (const error of lost) expect(error).toMatch(/may have run|was not sent/)
    expect(clients.map((client) => client.sessionId())).toEqual(ids)
    await Promise.all(clients.map(async (client) => await client.close()))
  })

  it('says in /health how the server is', async () => {
    const answer = await fetch(new URL('/health', url))
    expect([answer.status, await answer.json()]).toMatchObject([
      200,
      { status: 'healthy', transport: 'streamable-http' },
    ])
  })
})

describe('server-everything over SSE', () => {
  let url: URL
  beforeAll(async () => {
    url = await runEverything('old', 'sse')
  })

  it.each<Version>(['v1', 'v2'])('serves 10 clients of SDK %s at once', async (version) => {
    const clients = await Promise.all(Array.from({ length: 10 }, async () => await openClient(version, url)))
    const texts = await Promise.all(clients.map(async (client, index) => await client.echo(`${index}`)))
    expect(texts).toEqual(clients.map((_, index) => `Echo: ${index}`))
    await Promise.all(clients.map(async (client) => await client.close()))
  })

  it('ends the streams of its clients when it is killed, and serves those that come again', async () => {
    const client = await openClient('v1', url)
    await killServer('old')
    await expect(client.echo('lost')).rejects.toThrow(/./)
    await client.close()
    const { text } = await eventually('a new client is served', 20_000, async () => {
      const next = await openClient('v1', url).catch(() => undefined)
      if (next === undefined) return undefined
      const answered = await echoUntilAnswered(next, 'again')
      await next.close()
      return answered
    })
    expect(text).toBe('Echo: again')
  })

  it('is reached behind another proxy through its prefix', async () => {
    const prefixed = await runEverything('team', 'sse', '--endpoint-prefix', '/team', '--trust-proxy-headers')
    const stop = new AbortController()
    const headers = { accept: 'text/event-stream', 'x-forwarded-host': 'pub.example', 'x-forwarded-proto': 'https' }
    const answer = await fetch(prefixed, { headers, signal: stop.signal })
    const { value } = await answer.body!.getReader().read()
    expect(Buffer.from(value).toString()).toMatch(/data: https:\/\/pub\.example\/team\/message\?sessionId=/)
    stop.abort()
  })

  it('refuses a prefix where no endpoint is told', async () => {
    const { code, stderr } = await world.thv('run', '--name', 'x', '--endpoint-prefix', '/a', everything)
    expect([code, stderr]).toEqual([1, expect.stringContaining('[invalid-flag-combination]')])
    const bad = await world.thv('run', '--name', 'x', '--transport', 'sse', '--endpoint-prefix', 'a', everything)
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('[invalid-argument]')])
  })
})
