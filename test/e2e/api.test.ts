import { startScriptedRemote } from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApi, type ApiProcess } from './api-server.ts'
import { generations } from './clients.ts'
import { eventually, fixture, openWorld, type ListedWorkload, type World } from './harness.ts'

const everything = 'npx://@modelcontextprotocol/server-everything'

let world: World
let api: ApiProcess

beforeAll(async () => {
  world = await openWorld()
  api = await startApi(world, '--openapi')
})

afterAll(async () => {
  await api?.end()
  await world.close()
})

const names = async (query = ''): Promise<string[]> => {
  const answer = await api.call('GET', `/workloads${query}`)
  return answer.json<{ workloads: ListedWorkload[] }>().workloads.map(({ name }) => name)
}

describe('a workload over the API', () => {
  let url = ''

  it('is created, and serves an SDK client through its proxy', async () => {
    const created = await api.call('POST', '/workloads', {
      name: 'one',
      image: everything,
      env_vars: { MARK: 'first' },
    })
    expect(created.status).toBe(201)
    expect(created.headers.get('x-thv-operation-id')).toMatch(/^[0-9a-f-]{36}$/)
    const { name, port } = created.json<{ name: string; port: number }>()
    expect(name).toBe('one')
    await api.reaches('one', 'running')
    const listed = (await api.call('GET', '/workloads')).json<{ workloads: ListedWorkload[] }>().workloads
    expect(listed).toMatchObject([{ name: 'one', port, url: `http://127.0.0.1:${port}/mcp`, status: 'running' }])
    // The same as the command line sees.
    expect((await world.list()).map((workload) => workload.name)).toEqual(['one'])
    url = listed[0]?.url ?? ''
    const [, connect] = generations[0]!
    const peer = await connect(url)
    try {
      expect(await peer.text('echo', { message: 'hello' })).toBe('Echo: hello')
    } finally {
      await peer.close()
    }
  })

  it('is shown as it was asked for, exported, and has logs of its server and of its proxy', async () => {
    const shown = (await api.call('GET', '/workloads/one')).json<Record<string, unknown>>()
    expect(shown).toMatchObject({
      name: 'one',
      transport: 'stdio',
      env_vars: { MARK: 'first' },
      network_isolation: true,
    })
    const exported = (await api.call('GET', '/workloads/one/export')).json<Record<string, unknown>>()
    expect(exported).toMatchObject({ schema_version: 'v0.1.0', name: 'one', env_vars: { MARK: 'first' } })
    const logs = await api.call('GET', '/workloads/one/logs')
    expect([logs.status, logs.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
    expect(logs.text).toContain('STDIO')
    const proxyLogs = await api.call('GET', '/workloads/one/proxy-logs')
    expect([proxyLogs.status, proxyLogs.text.includes('proxy is listening')]).toEqual([200, true])
  })

  it('is edited as a whole, and keeps its name and its URL', async () => {
    const edited = await api.call('POST', '/workloads/one/edit', { image: everything, tools: ['echo'] })
    expect(edited.status).toBe(200)
    expect(edited.json<{ port: number }>().port).toBe(Number(new URL(url).port))
    const shown = (await api.call('GET', '/workloads/one')).json<Record<string, unknown>>()
    expect([shown['tools'], shown['env_vars']]).toEqual([['echo'], undefined])
    await api.reaches('one', 'running')
    const [, connect] = generations[0]!
    const peer = await connect(url)
    try {
      expect((await peer.sdk.listTools()).tools.map((tool) => tool.name)).toEqual(['echo'])
    } finally {
      await peer.close()
    }
  })

  it('is left as it is by an edit that is refused', async () => {
    const before = (await api.call('GET', '/workloads/one/export')).text
    for (const body of [
      {},
      { image: 'nox://x' },
      { image: everything, transport: 'pigeon' },
      { image: everything, x: 1 },
    ]) {
      expect((await api.call('POST', '/workloads/one/edit', body)).status).toBe(400)
    }
    expect((await api.call('POST', '/workloads/one/edit', { image: everything, group: 'nowhere' })).status).toBe(404)
    expect((await api.call('GET', '/workloads/one/export')).text).toBe(before)
    await api.reaches('one', 'running')
  })

  it('is edited to the end once its server is being stopped, also when the client leaves', async () => {
    const stubborn = fixture('stdio-server.mjs', '--ignore-eof', '--ignore-term')
    expect((await world.thv('run', '--name', 'slow', '--', ...stubborn)).code).toBe(0)
    const leave = new AbortController()
    const edited = fetch(`${api.origin}/api/v1beta/workloads/slow/edit`, {
      method: 'POST',
      body: JSON.stringify({ image: everything }),
      signal: leave.signal,
    }).catch(() => 'left')
    await api.reaches('slow', 'stopping')
    leave.abort()
    expect(await edited).toBe('left')
    await eventually('it runs as it was wanted', 60_000, async () => {
      const { image } = (await api.call('GET', '/workloads/slow')).json<{ image?: string }>()
      return image?.startsWith(everything) === true ? true : undefined
    })
    await api.reaches('slow', 'running')
    expect((await world.thv('rm', 'slow')).code).toBe(0)
  })

  it('is stopped, left out of the usual list, and restarted under its URL', async () => {
    expect((await api.call('POST', '/workloads/one/stop')).status).toBe(202)
    await api.reaches('one', 'stopped')
    expect([await names(), await names('?all=true')]).toEqual([[], ['one']])
    expect((await api.call('POST', '/workloads/one/restart')).status).toBe(202)
    await api.reaches('one', 'running')
    expect((await world.list())[0]?.url).toBe(url)
  })

  it('is refused under a name that is taken', async () => {
    const answer = await api.call('POST', '/workloads', { name: 'one', image: everything })
    expect([answer.status, answer.text]).toEqual([409, "workload with name 'one' already exists\n"])
    expect(answer.headers.get('x-thv-error-code')).toBe('workload-exists')
    expect(decodeURIComponent(answer.headers.get('x-thv-error-hint') ?? '')).toContain('choose another')
  })
})

describe('groups and several workloads over the API', () => {
  it('a group is created once, listed beside the default one, and holds workloads', async () => {
    expect((await api.call('POST', '/groups', { name: 'dev' })).text).toBe('{"name":"dev"}\n')
    expect((await api.call('POST', '/groups', { name: 'dev' })).status).toBe(409)
    const { groups } = (await api.call('GET', '/groups')).json<{ groups: { name: string }[] }>()
    expect(groups.map((group) => group.name)).toEqual(['default', 'dev'])
    for (const name of ['two', 'three']) {
      expect((await api.call('POST', '/workloads', { name, image: everything, group: 'dev' })).status).toBe(201)
    }
    await api.reaches('two', 'running')
    await api.reaches('three', 'running')
    expect(await names('?group=dev')).toEqual(['three', 'two'])
  })

  it('several are stopped by group and restarted by name', async () => {
    expect((await api.call('POST', '/workloads/stop', { group: 'dev' })).status).toBe(202)
    for (const name of ['two', 'three']) await api.reaches(name, 'stopped')
    await api.reaches('one', 'running')
    expect((await api.call('POST', '/workloads/restart', { names: ['two', 'three'] })).status).toBe(202)
    for (const name of ['two', 'three']) await api.reaches(name, 'running')
  })

  it('a group that goes leaves its workloads to the default group, or takes them along', async () => {
    expect((await api.call('DELETE', '/groups/default')).status).toBe(400)
    expect((await api.call('DELETE', '/groups/dev')).status).toBe(204)
    expect(await names('?group=default')).toEqual(['one', 'three', 'two'])
    await api.call('POST', '/groups', { name: 'gone' })
    await api.call('POST', '/workloads/two/edit', { image: everything, group: 'gone' })
    expect((await api.call('DELETE', '/groups/gone?with-workloads=true')).status).toBe(204)
    expect(await names('?all=true')).toEqual(['one', 'three'])
    expect((await api.call('GET', '/groups/gone')).status).toBe(404)
  })

  it('several are deleted by name', async () => {
    expect((await api.call('POST', '/workloads/delete', { names: ['three'] })).status).toBe(202)
    await eventually('it is gone', 30_000, async () => ((await names('?all=true')).length === 1 ? true : undefined))
  })
})

it('a remote server is created, shown and removed', async () => {
  const remote = await startScriptedRemote()
  try {
    const forward = { add_plaintext_headers: { 'X-Team': 'notes' } }
    const asked = { name: 'far', url: remote.url, header_forward: forward }
    expect((await api.call('POST', '/workloads', asked)).status).toBe(201)
    const far = await eventually('it runs', 20_000, async () => {
      const listed: { workloads: Listed[] } = JSON.parse((await api.call('GET', '/workloads')).text)
      return listed.workloads.find(({ name, status }) => name === 'far' && status === 'running')
    })
    expect(far).toMatchObject({ remote: true, reason: 'serving', package: 'remote' })
    expect(JSON.parse((await api.call('GET', '/workloads/far')).text)).toMatchObject(asked)
    expect((await api.call('DELETE', '/workloads/far')).status).toBe(202)
    await eventually('it is gone', 20_000, async () => ((await names('?all=true')).includes('far') ? undefined : true))
  } finally {
    await remote.down()
  }
})

interface Listed {
  name: string
  status: string
}

describe('what is wrong', () => {
  it.each([
    ['GET', '/workloads/nobody', undefined, 404],
    ['GET', '/workloads/nobody/status', undefined, 404],
    ['GET', '/workloads/nobody/logs', undefined, 404],
    ['GET', '/workloads/nobody/proxy-logs', undefined, 404],
    ['GET', '/workloads/nobody/export', undefined, 404],
    ['GET', '/workloads/..a..', undefined, 400],
    ['GET', '/workloads?group=nowhere', undefined, 404],
    ['GET', '/workloads?group=UPPER', undefined, 400],
    ['GET', '/workloads?all=perhaps', undefined, 400],
    ['POST', '/workloads/nobody/stop', undefined, 404],
    ['POST', '/workloads/nobody/restart', undefined, 404],
    ['POST', '/workloads/nobody/edit', { image: everything }, 404],
    ['DELETE', '/workloads/nobody', undefined, 404],
    ['DELETE', '/groups/nowhere', undefined, 404],
    ['POST', '/workloads', '{"name":', 400],
    ['POST', '/workloads', { name: 'x' }, 400],
    ['POST', '/workloads', { image: everything }, 400],
    ['POST', '/workloads', { name: 'a b', image: everything }, 400],
    ['POST', '/workloads', { name: 'x', image: everything, envvars: {} }, 400],
    ['POST', '/workloads', { name: 'x', image: everything, authz_config: '/rules.json' }, 400],
    ['POST', '/workloads', { name: 'x', image: everything, tools_override: { echo: {} } }, 400],
    ['POST', '/workloads', { name: 'x', url: 'http://example.com/mcp' }, 400],
    ['POST', '/workloads', { name: 'x', url: 'https://example.com/mcp', oauth_config: { issuer: 'no URL' } }, 400],
    ['POST', '/workloads/stop', {}, 400],
    ['POST', '/workloads/stop', { names: [] }, 400],
    ['POST', '/workloads/stop', { names: ['one'], group: 'default' }, 400],
    ['POST', '/workloads/stop', { names: ['../one'] }, 400],
    ['POST', '/workloads/stop', { group: 'nowhere' }, 400],
    ['POST', '/workloads/stop', '[', 400],
    ['POST', '/workloads/one/upgrade', undefined, 422],
    ['POST', '/groups', { name: 'Upper' }, 400],
    ['PATCH', '/groups', undefined, 405],
    ['OPTIONS', '/workloads', undefined, 405],
    ['GET', '/nothing', undefined, 404],
  ])('%s %s with %j is told as text, with %i', async (method, path, body, status) => {
    const answer = await api.call(method, path, body)
    expect([answer.status, status === answer.status ? '' : answer.text]).toEqual([status, ''])
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.text).toMatch(/^\S.*\n$/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin')
    expect(await names('?all=true')).toEqual(['one'])
  })

  it('refuses a body that is nested without end, and one that is too large', async () => {
    expect((await api.call('POST', '/workloads/stop', '['.repeat(500_000))).status).toBe(400)
    expect((await api.call('POST', '/groups', 'x'.repeat(1024 * 1024 + 1))).status).toBe(413)
  })

  it('does not repeat what it could not read, which may be a secret', async () => {
    const answer = await api.call('POST', '/workloads', '{"name":"x","env_vars":{"A":"hush"x}}')
    expect([answer.status, answer.text]).toEqual([400, 'the body is not JSON\n'])
  })

  it('refuses what a web page of another site could send, whatever it asks for', async () => {
    const evil = { Origin: 'http://evil.example' }
    expect((await api.call('POST', '/workloads/one/stop', undefined, evil)).status).toBe(403)
    expect((await api.call('GET', '//health', undefined, evil)).status).toBe(403)
    const asked = httpRequest(`${api.origin}/health`, { headers: { host: 'evil.example' } }).end()
    const [answer] = await once(asked, 'response')
    expect(answer.statusCode).toBe(403)
    answer.resume()
    expect((await api.call('GET', '/version', undefined, { Origin: api.origin })).status).toBe(200)
    await api.reaches('one', 'running')
  })
})

describe('the server itself', () => {
  it('says on /health that it is there and which one it is', async () => {
    const answer = await api.call('GET', '//health')
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([204, '', null])
    expect(answer.headers.get('x-toolhive-nonce')).toMatch(/^[0-9a-f]{32}$/)
  })

  it('shows its document and a page that loads nothing from elsewhere', async () => {
    const document = (await api.call('GET', '//api/openapi.json')).json<{ openapi: string }>()
    expect(document.openapi).toBe('3.1.0')
    const page = await api.call('GET', '//api/doc')
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'sha256-/)
    expect(page.text).not.toMatch(/https?:\/\//)
  })

  it('may be killed under running workloads, and a new one knows them', async () => {
    api.process.kill('SIGKILL')
    await once(api.process, 'exit')
    expect((await world.list())[0]).toMatchObject({ name: 'one', status: 'running' })
    api = await startApi(world)
    expect(await names()).toEqual(['one'])
    expect((await api.call('GET', '//api/doc')).status).toBe(404)
    expect((await api.call('DELETE', '/workloads/one')).status).toBe(202)
    await eventually('it is gone', 30_000, async () => ((await names('?all=true')).length === 0 ? true : undefined))
  })

  it('listens on a socket too, removes a dead one, and refuses one that answers or is no socket', async () => {
    // One server for each user.
    await api.end()
    const socket = join(world.directory, 'run', 'thv.sock')
    const first = await startApi(world, '--socket', socket)
    expect((await stat(socket)).mode & 0o777).toBe(0o660)
    expect((await stat(join(world.directory, 'run'))).mode & 0o777).toBe(0o750)
    const asked = httpRequest({
      socketPath: socket,
      path: '/api/v1beta/version',
      headers: { host: 'any.example' },
    }).end()
    const [answer] = await once(asked, 'response')
    expect(answer.statusCode).toBe(200)
    answer.resume()
    const second = await world.thv('serve', '--socket', socket)
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('[address-in-use]')])
    first.process.kill('SIGKILL')
    await once(first.process, 'exit')
    const third = await startApi(world, '--socket', socket)
    expect(await third.end()).toBe(0)
    await expect(stat(socket)).rejects.toThrow('ENOENT')
    await writeFile(socket, 'a file')
    expect((await world.thv('serve', '--socket', socket)).stderr).toContain('no socket')
    api = await startApi(world)
  })

  it('refuses a port that is taken, and flags that it cannot honour', async () => {
    const { port } = new URL(api.origin)
    expect((await world.thv('serve', '--port', port)).stderr).toContain('address already in use')
    expect((await world.thv('serve', '--oidc-issuer', 'https://example.com')).stderr).toContain('--oidc-issuer')
  })
})
