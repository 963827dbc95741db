import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, eventually, fixture, openWorld, type World } from './harness.ts'
import { exchange } from './http.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
})

afterAll(async () => {
  await world.close()
})

describe('with nothing saved', () => {
  it('list says so in words, as an empty array, and as an empty client config', async () => {
    expect(await world.ok('list')).toBe('No MCP servers found\n')
    expect(await world.ok('ls', '--all')).toBe('No MCP servers found\n')
    expect(await world.ok('list', '--group', 'default')).toBe("No MCP servers found in group 'default'\n")
    expect(await world.ok('list', '--format', 'json')).toBe('[]\n')
    expect(JSON.parse(await world.ok('list', '--format', 'mcpservers'))).toEqual({ mcpServers: {} })
  })

  it('bulk commands say that there is nothing to do, and exit 0', async () => {
    expect(await world.ok('stop', '--all')).toBe('No running workloads to stop\n')
    expect(await world.ok('rm', '--all')).toBe('No running workloads to delete\n')
    expect(await world.ok('start', '--all')).toBe('No workloads found to restart\n')
    expect(await world.ok('start', '--group', 'default')).toBe("No workloads found in group 'default' to restart\n")
    expect(await world.ok('logs', 'prune')).toBe('No orphaned log files found to prune\n')
  })

  it('version has the keys that tools read, and no line end after JSON', async () => {
    const text = await world.ok('version', '--format', 'json')
    expect(text.endsWith('}')).toBe(true)
    expect(Object.keys(JSON.parse(text))).toEqual(['version', 'commit', 'build_date', 'go_version', 'platform'])
    expect(await world.ok('version', '--json')).toBe(text)
    const lines = (await world.ok('version')).split('\n')
    expect(lines.map((line) => line.split(/ v\d|:/)[0])).toEqual([
      'ToolHive',
      'Commit',
      'Built',
      'Go version',
      'Platform',
      '',
    ])
  })

  it('doctor exits 0 and says of each thing whether it works', async () => {
    const checks: { name: string; status: string; detail: string; fix?: string }[] = JSON.parse(
      await world.ok('doctor', '--format', 'json'),
    )
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['Node.js', 'npm (npx://)', 'process guard', 'state directory', 'isolation']),
    )
    expect(checks.filter(({ status }) => status === 'broken')).toEqual([])
    for (const check of checks.filter(({ status }) => status === 'missing')) expect(check.fix).toMatch(/./)
    expect((await world.ok('doctor')).split('\n').slice(0, -1)).toHaveLength(
      checks.length + checks.filter(({ fix }) => fix !== undefined).length,
    )
  })
})

describe('a workload', () => {
  it('is started by run, which prints where it serves on stderr and nothing on stdout', async () => {
    const result = await world.thv('run', '--name', 'notes', '-l', 'team=blue', '--', ...fixture('stdio-server.mjs'))
    expect(result).toMatchObject({ code: 0, stdout: '' })
    expect(result.stderr).toMatch(/^starting notes\nnotes is serving at http:\/\/127\.0\.0\.1:\d+\/mcp\n$/)
  })

  it('is listed with these columns, and keys', async () => {
    const [head, row, end] = (await world.ok('list')).split('\n')
    expect(head?.trim().split(/ {3,}/)).toEqual(['NAME', 'PACKAGE', 'STATUS', 'URL', 'PORT', 'GROUP', 'CREATED'])
    const columns = row?.trim().split(/ {3,}/) ?? []
    const [workload] = await world.list()
    expect(columns[0]).toBe('notes')
    expect(columns.slice(2, 6)).toEqual(['running', workload?.url, String(workload?.port), 'default'])
    expect(columns[6]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC$/)
    expect(end).toBe('')
    expect(workload).toMatchObject({
      name: 'notes',
      package: expect.stringContaining('stdio-server.mjs'),
      url: `http://127.0.0.1:${workload?.port}/mcp`,
      port: expect.any(Number),
      transport_type: 'stdio',
      proxy_mode: 'streamable-http',
      status: 'running',
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      started_at: expect.stringMatching(/^\d{4}-.*Z$/),
      labels: { team: 'blue' },
      group: 'default',
    })
    expect(JSON.parse(await world.ok('list', '--format', 'mcpservers'))).toEqual({
      mcpServers: { notes: { type: 'streamable-http', url: workload?.url } },
    })
  })

  it('is found by its labels, all of which must match', async () => {
    const names = async (...labels: string[]) => {
      const flags = labels.flatMap((label) => ['-l', label])
      const found: { name: string }[] = JSON.parse(await world.ok('list', '--format', 'json', ...flags))
      return found.map(({ name }) => name)
    }
    expect(await names('team=blue')).toEqual(['notes'])
    expect(await names('team=red')).toEqual([])
    expect(await names('team=blue', 'team=red')).toEqual([])
  })

  it('shows its status in words and as JSON', async () => {
    const text = await world.ok('status', 'notes')
    expect(text.split('\n').map((line) => line.split(':')[0])).toEqual(
      expect.arrayContaining([
        'Name',
        'Status',
        'Package',
        'URL',
        'Port',
        'Transport',
        'Proxy Mode',
        'Group',
        'Created',
      ]),
    )
    expect(text).toMatch(/^Isolation: +(sandbox|node-permissions|none)$/m)
    expect(text).toMatch(/^Uptime: +(\d+[dhms] ?)+$/m)
    expect(JSON.parse(await world.ok('status', 'notes', '--format', 'json'))).toMatchObject({
      name: 'notes',
      status: 'running',
      transport: 'stdio',
      proxy_mode: 'streamable-http',
      isolation: expect.stringMatching(/^(sandbox|node-permissions|none)$/),
      group: 'default',
      uptime: expect.stringMatching(/^\d/),
    })
  })

  it('that runs is not started twice: start exits 0 and the supervisor stays', async () => {
    const before = await world.status('notes')
    expect(await world.ok('start', 'notes')).toBe('')
    const after = await world.status('notes')
    expect([after.process_id, after.thv?.server?.pid]).toEqual([before.process_id, before.thv?.server?.pid])
    expect(await world.thv('run', '--name', 'notes', '--', 'node')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Error: workload with name 'notes' already exists \[workload-exists\]\nTry: /),
    })
    expect((await world.status('notes')).process_id).toBe(before.process_id)
  })

  it('keeps its URL over restart, and gets another supervisor', async () => {
    const [before, { process_id: supervisor }] = [await world.list(), await world.status('notes')]
    await world.ok('restart', 'notes')
    expect((await world.list())[0]?.url).toBe(before[0]?.url)
    expect((await world.status('notes')).process_id).not.toBe(supervisor)
    expect((await exchange(before[0]!.url, { body: { jsonrpc: '2.0', id: 1, method: 'ping' } })).status).toBe(200)
  })

  it('that is stopped is hidden by list and shown by list -a; start serves it again under its URL', async () => {
    const url = (await world.list())[0]!.url
    expect(await world.thv('stop', 'notes')).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await world.processes()).toEqual([])
    expect(await world.ok('list')).toBe('No MCP servers found\n')
    expect(await world.list()).toMatchObject([{ name: 'notes', status: 'stopped', url }])
    expect(await world.thv('stop', 'notes')).toMatchObject({ code: 0 })
    await world.ok('start', 'notes')
    expect(await world.list()).toMatchObject([{ name: 'notes', status: 'running', url }])
  })

  it('has its server output in logs, and what the supervisor did in logs --proxy', async () => {
    expect(await world.ok('logs', 'notes')).toMatch(/^(fixture server ready\n){3}$/)
    const proxy = (await world.ok('logs', 'notes', '--proxy')).trim().split('\n')
    expect(proxy.length).toBeGreaterThan(2)
    for (const line of proxy)
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), msg: expect.any(String) })
  })

  it('shows new output while logs --follow runs, until SIGINT', async () => {
    const follow = world.spawn(['logs', 'notes', '--follow'])
    const ended = collect(follow)
    let seen = ''
    follow.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
    })
    const readyLines = async () => await Promise.resolve(seen.split('fixture server ready').length - 1)
    await eventually('what was there is shown', 5_000, async () => ((await readyLines()) >= 3 ? true : undefined))
    await world.ok('restart', 'notes')
    await eventually('the new line is shown', 5_000, async () => ((await readyLines()) >= 4 ? true : undefined))
    follow.kill('SIGINT')
    expect([0, 130]).toContain((await ended).code)
  })

  it('is removed with its config and status, and keeps its logs until they are pruned', async () => {
    expect(await world.thv('rm', 'notes')).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await world.list()).toEqual([])
    expect(await world.processes()).toEqual([])
    const removed = await world.ok('logs', 'prune')
    expect(removed).toBe('Removed: notes.log\nRemoved: servers/notes.log\n')
    expect(await world.ok('logs', 'prune')).toBe('No orphaned log files found to prune\n')
  })
})

describe('several names at once', () => {
  it('one bad name does not keep the others from being stopped, started and removed', async () => {
    await Promise.all([
      world.ok('run', '--name', 'one', '--', ...fixture('stdio-server.mjs')),
      world.ok('run', '--name', 'two', '--', ...fixture('stdio-server.mjs')),
    ])
    const statuses = async () => (await world.list()).map(({ name, status }) => `${name} ${status}`)
    for (const [command, wanted] of [
      ['stop', ['one stopped', 'two stopped']],
      ['start', ['one running', 'two running']],
      ['rm', []],
    ] as const) {
      const result = await world.thv(command, 'one', 'missing', 'two')
      expect(result.code).toBe(1)
      expect(`${result.stdout}${result.stderr}`).toContain("workload 'missing' not found")
      expect(await statuses()).toEqual(wanted)
    }
  })

  it('--all and --group mean every workload', async () => {
    await Promise.all([
      world.ok('run', '--name', 'one', '--', ...fixture('stdio-server.mjs')),
      world.ok('run', '--name', 'two', '--', ...fixture('stdio-server.mjs')),
    ])
    await world.ok('stop', '--all')
    expect((await world.list()).map(({ status }) => status)).toEqual(['stopped', 'stopped'])
    expect(await world.ok('start', '--group', 'default')).toMatch(/Restart summary: 2 succeeded, 0 failed\n$/)
    await world.ok('rm', '--group', 'default')
    expect(await world.list()).toEqual([])
  })
})

describe('stop --timeout', () => {
  it('ends a server that ignores end of input and SIGTERM, within the time and 3 s', async () => {
    const flags = ['--ignore-eof', '--ignore-term', '--family']
    await world.ok('run', '--name', 'stubborn', '--', ...fixture('stdio-server.mjs', ...flags))
    const from = performance.now()
    await world.ok('stop', '--timeout', '2', 'stubborn')
    expect(performance.now() - from).toBeLessThan(5_000)
    expect(await world.processes()).toEqual([])
    expect(await world.list()).toMatchObject([{ name: 'stubborn', status: 'stopped' }])
    await world.ok('rm', 'stubborn')
  })
})

describe('mcp', () => {
  beforeAll(async () => {
    await Promise.all([
      world.ok('run', '--name', 'everything', 'npx://@modelcontextprotocol/server-everything', '--', 'stdio'),
      world.ok('run', '--name', 'small', '--', ...fixture('stdio-server.mjs')),
      world.ok('run', '--name', 'old', '--proxy-mode', 'sse', '--', ...fixture('stdio-server.mjs')),
    ])
  })

  it('list shows tools, resources and prompts, one kind or all', async () => {
    const tables = await world.ok('mcp', 'list', '--server', 'everything')
    expect(tables).toMatch(/^TOOLS:\nNAME +DESCRIPTION\necho +.*\n[\s\S]*\nRESOURCES:\n[\s\S]*\nPROMPTS:\n/)
    expect(await world.ok('mcp', 'list', 'prompts', '--server', 'everything')).toMatch(/simple-prompt/)
    const kind = async (what: string) => {
      const listed: Record<string, { name: string }[]> = JSON.parse(
        await world.ok('mcp', 'list', what, '--server', 'everything', '--format', 'json'),
      )
      return listed[what]?.map(({ name }) => name)
    }
    expect(await kind('tools')).toContain('get-sum')
    expect(await kind('resources')).toContain('features.md')
    expect(await kind('prompts')).toContain('args-prompt')
  })

  it('list takes a URL, and a workload that serves sse', async () => {
    const url = (await world.list()).find(({ name }) => name === 'small')!.url
    expect(await world.ok('mcp', 'list', 'tools', '--server', url)).toMatch(/says it again/)
    expect(await world.ok('mcp', 'list', 'tools', '--server', 'old')).toMatch(/says it again/)
  })

  it('call prints the text, or the whole result as JSON', async () => {
    const call = ['mcp', 'call', 'get-sum', '--server', 'everything', '--args', '{"a":2,"b":3}']
    expect(await world.ok(...call)).toBe('The sum of 2 and 3 is 5.\n')
    expect(JSON.parse(await world.ok(...call, '--format', 'json'))).toEqual({
      content: [{ type: 'text', text: 'The sum of 2 and 3 is 5.' }],
    })
  })

  it('call reads its arguments from a file', async () => {
    await mkdir(join(world.directory, 'args'), { recursive: true })
    const file = join(world.directory, 'args/echo.json')
    await writeFile(file, '{"message":"from a file"}')
    expect(await world.ok('mcp', 'call', 'echo', '--server', 'small', '--args-file', file)).toBe('from a file\n')
  })

  it('call exits 1 when the tool reports an error, unless told to ignore it', async () => {
    const result = await world.thv('mcp', 'call', 'fail', '--server', 'small')
    expect(result).toMatchObject({ code: 1, stdout: 'it did not work\n' })
    expect(result.stderr).toMatch(/^Error: tool "fail" reported an error \[mcp-tool-error\]\nTry: /)
    expect(await world.ok('mcp', 'call', 'fail', '--server', 'small', '--ignore-tool-error')).toBe('it did not work\n')
  })

  it('says what is wrong: unknown tool, bad arguments, no server, one that does not run', async () => {
    const code = async (...args: string[]) => {
      const result = await world.thv('mcp', ...args)
      expect(result.code).toBe(1)
      return /\[([a-z-]+)\]/.exec(result.stderr)?.[1]
    }
    expect(await code('call', 'no-such-tool', '--server', 'small')).toBe('mcp-error')
    expect(await code('call', 'echo', '--server', 'small', '--args', '[1]')).toBe('invalid-argument')
    expect(await code('call', 'echo', '--server', 'small', '--args', '{')).toBe('invalid-argument')
    expect(await code('list', 'tools')).toBe('invalid-argument')
    expect(await code('list', 'tools', '--server', 'missing')).toBe('workload-not-found')
    expect(await code('list', 'tools', '--server', 'http://127.0.0.1:9/mcp')).toBe('mcp-unreachable')
    await world.ok('stop', 'old')
    expect(await code('list', 'tools', '--server', 'old')).toBe('mcp-unreachable')
  })
})

describe('an exported workload', () => {
  it('runs in another state directory; where its port is taken it is refused, and nothing is left', async () => {
    const other = await openWorld()
    try {
      const file = join(world.directory, 'exports/small.json')
      const printed = await world.ok('export', 'small', file)
      expect(printed).toBe(`Successfully exported run configuration for 'small' to '${file}'\n`)
      const taken = await other.thv('run', '--from-config', file)
      expect(taken.code).toBe(1)
      expect(taken.stderr).toMatch(/^Error: .* \[port-in-use\]\nTry: /m)
      expect(await other.list()).toEqual([])
      const url = (await world.list()).find(({ name }) => name === 'small')!.url
      await world.ok('rm', 'small')
      await other.ok('run', '--from-config', file)
      expect(await other.list()).toMatchObject([{ name: 'small', status: 'running', url }])
      expect(await other.ok('mcp', 'call', 'echo', '--server', 'small', '--args', '{"message":"moved"}')).toBe(
        'moved\n',
      )
      await other.ok('export', 'small', join(other.directory, 'again.json'))
      const again = await readFile(join(other.directory, 'again.json'), 'utf8')
      expect(JSON.parse(again)).toEqual(JSON.parse(await readFile(file, 'utf8')))
    } finally {
      await other.close()
    }
  })
})

describe('a foreign program on the port of a stopped workload', () => {
  it('makes start fail with port-in-use; the port is not changed', async () => {
    await world.ok('run', '--name', 'parked', '--', ...fixture('stdio-server.mjs'))
    const { port } = (await world.list()).find(({ name }) => name === 'parked')!
    await world.ok('stop', 'parked')
    const squatter = createServer().listen(port, '127.0.0.1')
    await once(squatter, 'listening')
    const result = await world.thv('start', 'parked')
    squatter.close()
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/\[port-in-use\]/)
    await world.ok('start', 'parked')
    expect((await world.list()).find(({ name }) => name === 'parked')).toMatchObject({ port, status: 'running' })
  })
})
