import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { World } from './harness.ts'

const nonce = 'a1'.repeat(16)

/** A server of the test that is announced as the user's; resolves to what it is asked, as it grows. */
export async function standIn(
  world: World,
  answer: RequestListener,
  other?: { version?: string; data?: string },
): Promise<string[]> {
  const asked: string[] = []
  const { port } = await serve((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.url === '/health') response.writeHead(204, { 'X-Toolhive-Nonce': nonce }).end()
    else answer(request, response)
  })
  const own: { version: string } = JSON.parse(await world.ok('version', '--format', 'json'))
  const data = join(world.directory, 'data/toolhive')
  const thv = { started: 'x', version: own.version.replace(/^v/, ''), data, ...other }
  await announce(world, { url: `http://127.0.0.1:${port}`, pid: process.pid, thv })
  return asked
}

/** Writes the record of a server, whether there is one or not. */
export async function announce(world: World, record: { url: string; pid: number; thv?: object }): Promise<void> {
  const directory = join(world.directory, 'state/toolhive/server')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const text = JSON.stringify({ nonce, started_at: '2026-08-21T10:26:05Z', ...record })
  await writeFile(join(directory, 'server.json'), text, { mode: 0o600 })
}

/** An HTTP server until the test is over. */
export async function serve(answer: RequestListener): Promise<{ port: number }> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
}
