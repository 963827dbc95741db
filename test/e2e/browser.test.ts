import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { findBrowser, openSite, renderPage, runPage, type Site } from './browser.ts'
import { fixture, openWorld, type World } from './harness.ts'

const browser = findBrowser()

let world: World
let api: ApiProcess
let site: Site

beforeAll(async () => {
  if (browser === undefined) return
  world = await openWorld()
  api = await startApi(world, '--openapi')
  await world.ok('run', '--name', 'plain', '--', ...fixture('stdio-server.mjs'))
  site = await openSite()
})

afterAll(async () => {
  await site?.close()
  await api?.end()
  await world?.close()
})

beforeEach((context) => {
  if (browser === undefined) context.skip('missing: chromium')
})

/** What a page sees of a request: its status, or that it failed. */
const attempt = `const attempt = async (url, init) => {
  try { return (await fetch(url, init)).status }
  catch { return 'failed' }
}`

describe('the API in a browser', () => {
  it('documents itself on a page that shows every operation and loads nothing from elsewhere', async () => {
    const document = (await (await fetch(`${api.origin}/api/openapi.json`)).json()) as { paths: Record<string, object> }
    const markup = await renderPage(browser!, `${api.origin}/api/doc`)
    const shown = [...markup.matchAll(/<summary><code class="method">(\w+)<\/code><code>([^<]+)<\/code>/g)]
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(shown.map(([, method, path]) => `${method} ${path}`).toSorted()).toEqual(operations.toSorted())
    expect(markup).not.toMatch(/(?:src|href)="https?:/)
  })

  it('is out of reach for pages of other origins, also for requests that browsers send unasked', async () => {
    const stop = `${api.origin}/api/v1beta/workloads/plain/stop`
    const results = await runPage(
      browser!,
      site,
      `${attempt}
      return [
        await attempt('${api.origin}/api/v1beta/workloads'),
        await attempt('${stop}', { method: 'POST' }),
        await attempt('${stop}', { method: 'POST', mode: 'no-cors' }),
        await attempt('${api.origin}/api/v1beta/workloads/plain', { method: 'DELETE' }),
      ]`,
    )
    // The second and third are sent, and only their answers are kept from the page: the server must refuse them.
    expect(results).toEqual(['failed', 'failed', 'failed', 'failed'])
    expect((await world.list()).map(({ name, status }) => [name, status])).toEqual([['plain', 'running']])
  })
})

describe('a workload in a browser', () => {
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'page', version: '1' } },
  }
  const call = (url: string): string => `${attempt}
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const body = ${JSON.stringify(JSON.stringify(initialize))}
    try {
      const answer = await fetch('${url}', { method: 'POST', headers, body })
      return [answer.status, answer.headers.get('mcp-session-id') !== null]
    } catch { return 'failed' }`

  it('is out of reach for a page nobody has allowed', async () => {
    const [plain] = await world.list()
    expect(await runPage(browser!, site, call(plain?.url ?? ''))).toBe('failed')
  })

  it('answers a page of an allowed origin, which sees the session', async () => {
    await world.ok('run', '--name', 'open', '--allowed-origins', site.origin, '--', ...fixture('stdio-server.mjs'))
    const open = (await world.list()).find(({ name }) => name === 'open')
    expect(await runPage(browser!, site, call(open?.url ?? ''))).toEqual([200, true])
  })
})
