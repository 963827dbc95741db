import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OutboundPermissions } from '@thv/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DialOptions } from './dial.ts'
import { openEgressProxy, type EgressAttempt, type EgressProxy } from './egress-proxy.ts'
import { createEgressRecord } from './egress-record.ts'
import { networkLimits } from './network-limits.ts'
import { goesThrough, readUpstreamProxy } from './upstream-proxy.ts'

let directory: string
let socketPath: string
let proxy: EgressProxy | undefined
let attempts: EgressAttempt[]
let web: Server
let port: number
let others: TcpServer[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-egress-'))
  socketPath = join(directory, 'egress.sock')
  attempts = []
  others = []
  web = createServer((incoming, response) => {
    const { host, 'x-kept': kept, 'proxy-authorization': secret } = incoming.headers
    let length = 0
    incoming.on('data', (chunk: Buffer) => (length += chunk.length))
    incoming.on('end', () => response.end(JSON.stringify({ host, kept, secret, url: incoming.url, length })))
  })
  port = await listen(web)
})

afterEach(async () => {
  await proxy?.close()
  web.closeAllConnections()
  web.close()
  for (const other of others) other.close()
  await rm(directory, { recursive: true, force: true })
})

async function listen(server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function open(outbound: OutboundPermissions, more: Partial<DialOptions> = {}): Promise<void> {
  proxy = await openEgressProxy({ socketPath, outbound, onAttempt: (attempt) => void attempts.push(attempt), ...more })
}

/** What the proxy says to raw bytes, until it has said something and `until` of it. */
async function say(text: string, until = '\r\n\r\n'): Promise<{ socket: Socket; heard: string }> {
  const socket = connect(socketPath)
  let heard = ''
  socket.write(text)
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      heard += chunk.toString()
      if (heard.includes(until)) resolve()
    })
    socket.on('close', () => resolve())
  })
  return { socket, heard }
}

async function tunnelTo(authority: string, host = authority): Promise<string> {
  const { socket, heard } = await say(`CONNECT ${authority} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  socket.destroy()
  return heard
}

async function get(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const outgoing = request({ socketPath, path: url, headers: { host: new URL(url).host, ...headers } }).end()
  const [response] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode, text }
}

describe('an egress proxy', () => {
  it('tunnels to what the rules name, and carries what both sides say', async () => {
    await open({ allow_host: ['localhost'] })
    const { socket, heard } = await say(`CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    expect(heard).toMatch(/^HTTP\/1.1 200 /)
    socket.write('GET /inside HTTP/1.0\r\nHost: x\r\n\r\n')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1.1 200 OK/)
    expect(attempts).toEqual([{ host: 'localhost', port }])
    socket.destroy()
  })

  it('refuses what they do not name, and says what would allow it', async () => {
    await open({ allow_host: ['localhost'], allow_port: [port] })
    expect(await tunnelTo('example.com:443')).toMatch(
      /^HTTP\/1.1 403 [\s\S]*To allow it, add 'example.com' to network.outbound.allow_host and 443 to allow_port/,
    )
    expect(await tunnelTo('127.0.0.1:1')).toMatch(/^HTTP\/1.1 403 /)
    expect(attempts.map(({ refused }) => refused !== undefined)).toEqual([true, true])
  })

  it('leads to this machine under the names of the Docker gateway only where that was asked for', async () => {
    await open({ allow_host: ['example.com'] }, { gateway: true })
    expect(await tunnelTo(`host.docker.internal:${port}`)).toMatch(/^HTTP\/1.1 200 /)
    expect(await tunnelTo(`gateway.docker.internal:${port}`)).toMatch(/^HTTP\/1.1 200 /)
    expect(await tunnelTo(`127.0.0.1:${port}`)).toMatch(/^HTTP\/1.1 403 /)
    await proxy?.close()
    const resolve = async (): Promise<string[]> => ['127.0.0.1']
    await open({ allow_host: ['host.docker.internal'] }, { resolve })
    expect(await tunnelTo(`host.docker.internal:${port}`)).toMatch(/^HTTP\/1.1 403 /)
  })

  it.each(['127.0.0.1', '::1', '169.254.169.254', '10.1.1.1', '::ffff:127.0.0.1', '0.0.0.0'])(
    'an allowed name that resolves to %s is refused',
    async (address) => {
      await open({ insecure_allow_all: true }, { resolve: async () => [address] })
      expect(await tunnelTo(`api.example.com:${port}`)).toMatch(/^HTTP\/1.1 403 /)
    },
  )

  it('connects to the address that was checked: a second lookup could say something else', async () => {
    let asked = 0
    const resolve = async (): Promise<string[]> => {
      asked += 1
      return asked === 1 ? ['127.0.0.1'] : ['10.0.0.1']
    }
    await open({ allow_host: ['api.example.com', '127.0.0.1'] }, { resolve })
    expect(await tunnelTo(`api.example.com:${port}`)).toMatch(/^HTTP\/1.1 200 /)
    expect(asked).toBe(1)
  })

  it('forwards plain HTTP to the target, without what is for the proxy', async () => {
    await open({ allow_host: ['localhost'] })
    const headers = { 'x-kept': 'yes', 'proxy-authorization': 'Basic c2VjcmV0' }
    const { status, text } = await get(`http://localhost:${port}/path?q=1`, headers)
    expect(status).toBe(200)
    expect(JSON.parse(text)).toEqual({ host: `localhost:${port}`, kept: 'yes', url: '/path?q=1', length: 0 })
  })

  it('refuses a Host that is not the target, for tunnels and for plain HTTP', async () => {
    await open({ allow_host: ['localhost'] })
    expect(await tunnelTo(`localhost:${port}`, 'example.com')).toMatch(/^HTTP\/1.1 400 /)
    expect((await get(`http://localhost:${port}/`, { host: 'example.com' })).status).toBe(400)
    expect((await get(`http://example.com/`, { host: `localhost:${port}` })).status).toBe(400)
    expect(attempts).toEqual([])
  })

  it.each([
    'GET / HTTP/1.1',
    'GET https://localhost/ HTTP/1.1',
    'CONNECT localhost HTTP/1.1',
    'CONNECT /x:1 HTTP/1.1',
    'CONNECT a*b:1 HTTP/1.1',
    'CONNECT .com:443 HTTP/1.1',
    'CONNECT a..b:443 HTTP/1.1',
  ])('refuses what is no request to a proxy: %s', async (line) => {
    await open({ insecure_allow_all: true })
    const { socket, heard } = await say(`${line}\r\nHost: localhost\r\n\r\n`)
    expect(heard).toMatch(/^HTTP\/1.1 400 /)
    socket.destroy()
  })

  it('says that a host cannot be reached, which is no refusal', async () => {
    await open({ allow_host: ['localhost'] })
    expect(await tunnelTo('localhost:1')).toMatch(/^HTTP\/1.1 502 /)
    expect(attempts).toEqual([{ host: 'localhost', port: 1, failed: expect.stringContaining('ECONNREFUSED') }])
  })

  it.each([
    'HTTP/1.1 000 Odd',
    'HTTP/1.1 099 Odd',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade',
  ])('outlives a web server that answers %j', async (head) => {
    const odd = await listen(remember(createTcpServer((socket) => void socket.end(`${head}\r\n\r\n`).resume())))
    await open({ allow_host: ['localhost'] })
    expect((await get(`http://localhost:${odd}/`)).status).toBe(502)
    expect((await get(`http://localhost:${port}/`)).status).toBe(200)
  })

  it('a body without a length arrives as one, whatever the method', async () => {
    await open({ allow_host: ['localhost'] })
    const { socket, heard } = await say(
      `DELETE http://localhost:${port}/ HTTP/1.1\r\nHost: localhost:${port}\r\nTransfer-Encoding: chunked\r\n\r\n` +
        '1a\r\nGET /second HTTP/1.1\r\n\r\nxx\r\n0\r\n\r\n',
      '"length"',
    )
    socket.destroy()
    expect(heard).toContain('"length":26')
    expect(heard).toContain('"url":"/"')
  })

  it('lets go of a host that nobody waits for any more', async () => {
    const server = remember(createTcpServer((socket) => socket.on('close', () => events.emit('gone')).resume()))
    const slow = await listen(server)
    const events = new EventEmitter()
    const resolve = async (): Promise<string[]> => {
      events.emit('asked')
      await once(events, 'found')
      return ['127.0.0.1']
    }
    const asked = once(events, 'asked')
    const gone = once(events, 'gone')
    await open({ allow_host: ['localhost'] }, { resolve })
    const socket = connect(socketPath)
    socket.write(`GET http://localhost:${slow}/ HTTP/1.1\r\nHost: localhost:${slow}\r\n\r\n`)
    await asked
    socket.destroy()
    await once(socket, 'close')
    // By the time of another answer the proxy has heard of it.
    await tunnelTo('.:1')
    events.emit('found')
    await gone
  })

  it('looks for no more hosts at once than it may, and says so', async () => {
    const looking = new EventEmitter()
    let count = 0
    const resolve = async (): Promise<string[]> => {
      count += 1
      if (count === networkLimits.dials) looking.emit('full')
      return await new Promise<string[]>(() => {})
    }
    await open({ insecure_allow_all: true }, { resolve })
    const waiting = Array.from({ length: networkLimits.dials }, (_none, index) => {
      const socket = connect(socketPath)
      socket.write(`CONNECT h${index}.example:443 HTTP/1.1\r\nHost: h${index}.example:443\r\n\r\n`)
      return socket
    })
    await once(looking, 'full')
    expect(await tunnelTo('one.example:443')).toMatch(/^HTTP\/1.1 503 [\s\S]*too many/)
    for (const socket of waiting) socket.destroy()
  })

  it('its end closes open tunnels', async () => {
    await open({ allow_host: ['localhost'] })
    const { socket } = await say(`CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    const closed = once(socket, 'close')
    await proxy?.close()
    await closed
    proxy = undefined
  })
})

describe('a proxy of the company', () => {
  it('is asked for what the rules allow, with its credentials, and for nothing else', async () => {
    const asked: string[] = []
    const upstreamPort = await listen(
      remember(
        createTcpServer((socket) => {
          socket.once('data', (chunk) => {
            asked.push(String(chunk))
            socket.end('HTTP/1.1 200 OK\r\n\r\nhello from outside')
          })
        }),
      ),
    )
    const upstream = readUpstreamProxy({ HTTPS_PROXY: `http://me:p%40ss@127.0.0.1:${upstreamPort}` })!
    await open({ allow_host: ['example.com'] }, { upstream })
    const { socket, heard } = await say('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n', 'outside')
    socket.destroy()
    expect(heard).toMatch(/^HTTP\/1.1 200 [\s\S]*hello from outside$/)
    expect(asked).toHaveLength(1)
    expect(asked[0]).toContain(`Proxy-Authorization: Basic ${Buffer.from('me:p@ss').toString('base64')}`)
    expect(await tunnelTo('other.example:443')).toMatch(/^HTTP\/1.1 403 /)
    expect(asked).toHaveLength(1)
  })

  it('that refuses is named without its credentials', async () => {
    const upstreamPort = await listen(remember(createTcpServer((socket) => socket.end('HTTP/1.1 407 No\r\n\r\n'))))
    const upstream = readUpstreamProxy({ HTTPS_PROXY: `http://me:secret@127.0.0.1:${upstreamPort}` })!
    await open({ insecure_allow_all: true }, { upstream })
    const heard = await tunnelTo('example.com:443')
    expect(heard).toContain(`the proxy 127.0.0.1:${upstreamPort} cannot reach example.com:443: it answers 407`)
    expect(heard).not.toContain('secret')
  })

  it('is read from the environment, and passed by for NO_PROXY', () => {
    const upstream = readUpstreamProxy({ http_proxy: 'proxy.corp:8080', NO_PROXY: 'localhost,.corp, 10.0.0.1' })!
    expect(upstream.url.href).toBe('http://proxy.corp:8080/')
    expect(
      ['example.com', 'a.corp', 'corp', 'localhost', '10.0.0.1'].map((host) => goesThrough(upstream, host)),
    ).toEqual([true, false, false, false, false])
    expect(readUpstreamProxy({ HTTPS_PROXY: 'socks5://x' })).toBeUndefined()
    expect(readUpstreamProxy({})).toBeUndefined()
  })
})

describe('an egress record', () => {
  it('logs each refusal and each failure once', () => {
    const logged: string[] = []
    const record = createEgressRecord((message) => void logged.push(message))
    const refused = { reason: 'why', remedy: 'do' }
    for (const host of ['a', 'a', 'b']) record.add({ host, port: 1, refused })
    for (const host of ['c', 'c']) record.add({ host, port: 1, failed: 'nobody is there' })
    expect(logged).toEqual([
      'blocked a connection of the server to a:1: why; to allow it, do',
      'blocked a connection of the server to b:1: why; to allow it, do',
      'the server could not reach c:1: nobody is there',
    ])
  })

  it('says when it says no more, whatever a server does to flood it', () => {
    const logged: string[] = []
    const record = createEgressRecord((message) => void logged.push(message))
    const refused = { reason: 'why', remedy: 'do' }
    for (let port = 1; port < 2000; port += 1) record.add({ host: 'a', port, refused })
    expect(logged).toHaveLength(networkLimits.refusals + 1)
    expect(logged.at(-1)).toContain('more are not')
  })

  it('makes the smallest profile of what was reached', () => {
    const record = createEgressRecord(() => {})
    record.add({ host: 'B.example', port: 443 })
    record.add({ host: 'a.example', port: 443 })
    record.add({ host: 'a.example', port: 80 })
    record.add({ host: 'evil.example', port: 22, refused: { reason: '', remedy: '' } })
    expect(record.smallestProfile('x', { read: ['/data'] })).toEqual({
      name: 'x',
      read: ['/data'],
      write: [],
      network: {
        outbound: { insecure_allow_all: false, allow_host: ['a.example', 'b.example'], allow_port: [80, 443] },
      },
      privileged: false,
    })
  })
})

function remember(server: TcpServer): TcpServer {
  others.push(server)
  return server
}
