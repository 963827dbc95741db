import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createRemoteDialer } from './remote-dialer.ts'

const open: (() => unknown)[] = []

afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** A proxy that answers CONNECT with `answer`, and what it was asked. */
async function startProxy(answer: string): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (chunk) => {
      asked.push(String(chunk))
      socket.write(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => server.close())
  return { url: `http://me:secret@127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

it('a remote server is reached through the proxy of the environment', async () => {
  const { url, asked } = await startProxy('HTTP/1.1 200 OK\r\n\r\nhello')
  const dial = createRemoteDialer({ HTTPS_PROXY: url }, 'mcp.example.com')
  const socket = await dial!({ host: 'mcp.example.com', port: 443 })
  open.push(() => socket.destroy())
  const [said] = await once(socket.resume(), 'data')
  expect(String(said)).toBe('hello')
  expect(asked).toEqual([expect.stringMatching(/^CONNECT mcp\.example\.com:443 HTTP\/1\.1\r\n/)])
})

it('a proxy that refuses is named without its credentials', async () => {
  const { url } = await startProxy('HTTP/1.1 403 Forbidden\r\n\r\n')
  const dial = createRemoteDialer({ HTTPS_PROXY: url }, 'mcp.example.com')
  const refused = await dial!({ host: 'mcp.example.com', port: 443 }).catch(String)
  expect(refused).toContain('cannot reach mcp.example.com:443: it answers 403')
  expect(refused).not.toContain('secret')
})

it.each(['localhost', 'a.localhost', '127.0.0.1', '[::1]', 'in.corp', 'corp'])('%s is reached without it', (host) => {
  expect(createRemoteDialer({ HTTPS_PROXY: 'http://proxy.corp:8080', NO_PROXY: '.corp' }, host)).toBeUndefined()
})

it('without a proxy nothing stands between', () => {
  expect(createRemoteDialer({}, 'mcp.example.com')).toBeUndefined()
})
