import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, type TestContext } from 'vitest'
import { sendBounded, type HttpOptions } from './bounded-request.ts'
import { never } from './fixtures/log-in.ts'

const opened: Server[] = []
afterEach(() => {
  for (const server of opened.splice(0)) server.close()
})

const plain: HttpOptions = { ca: undefined, dialerOf: () => undefined, requestMs: 5_000 }

async function listen(server: Server): Promise<number> {
  opened.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function get(options: HttpOptions, url: string, signal = never): Promise<Response> {
  return await sendBounded(options, new URL(url), { method: 'GET', signal })
}

it('a server is spoken to over TLS when its authority is trusted, and not otherwise', async (context) => {
  const tls = createCertificate(context)
  const port = await listen(createTlsServer(tls, (_request, response) => response.end('hello')))
  const url = `https://127.0.0.1:${port}/`
  expect(await (await get({ ...plain, ca: tls.cert }, url)).text()).toBe('hello')
  await expect(get(plain, url)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
})

it('a server is reached through a tunnel, and proves in there who it is', async (context) => {
  const tls = createCertificate(context)
  const port = await listen(createTlsServer(tls, (request, response) => response.end(request.headers.host)))
  const asked: unknown[] = []
  const dialerOf: HttpOptions['dialerOf'] = (host) => async (target) => {
    asked.push(host, target)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  const options = { ...plain, dialerOf, ca: tls.cert }
  expect(await (await get(options, 'https://as.example.com/token')).text()).toBe('as.example.com')
  expect(asked).toEqual(['as.example.com', { host: 'as.example.com', port: 443 }])
  await expect(get(options, 'https://other.example.com/')).rejects.toMatchObject({
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
})

it('a tunnel that comes too late is closed', async () => {
  const port = await listen(createServer())
  const stop = new AbortController()
  let arrive = (_socket: Socket): void => {}
  const dialling = new Promise<Socket>((resolve) => {
    arrive = resolve
  })
  const request = get({ ...plain, dialerOf: () => async () => await dialling }, 'https://as.example.com/', stop.signal)
  stop.abort(new Error('enough'))
  await expect(request).rejects.toThrow('enough')
  const late = connect(port, '127.0.0.1')
  arrive(late)
  await once(late, 'close')
})

it.each([
  [
    'a switch of protocols',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'without an answer',
  ],
  ['a status that is none', 'HTTP/1.1 000 Nothing\r\ncontent-length: 0\r\n\r\n', 'the status 0'],
  ['no HTTP', 'SSH-2.0\r\n\r\n', 'Parse Error'],
])('%s is an error', async (_what, answer, reason) => {
  const port = await listen(createServer((socket) => socket.on('error', () => undefined).end(answer)))
  await expect(get(plain, `http://127.0.0.1:${port}/`)).rejects.toThrow(reason)
})

it('an answer that stops in its middle is waited for no longer than the limit', async () => {
  const sockets: Socket[] = []
  const port = await listen(
    createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
    }),
  )
  await expect(get({ ...plain, requestMs: 200 }, `http://127.0.0.1:${port}/`)).rejects.toThrow('not answer in time')
  for (const socket of sockets) socket.destroy()
})

/** Of a day, for 127.0.0.1 and as.example.com; needs `openssl`. */
function createCertificate(context: TestContext): { key: string; cert: string } {
  const directory = mkdtempSync(join(tmpdir(), 'thv-oauth-'))
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const names = 'subjectAltName=IP:127.0.0.1,DNS:as.example.com'
  const subject = ['-subj', '/CN=fixture', '-addext', names, '-days', '1', '-keyout', keyFile, '-out', certFile]
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject])
  try {
    if (made.status !== 0) context.skip('openssl is not here')
    return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
