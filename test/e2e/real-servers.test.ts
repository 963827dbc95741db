import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  connectDirectly,
  generations,
  inspect,
  installInspector,
  type Connect,
  type Peer,
  type Tool,
} from './clients.ts'
import { fixture, openWorld, type World } from './harness.ts'

/** One server that people use, a call that has one right answer, and what it takes to run it. */
interface RealServer {
  source: string
  needs?: string
  run: (world: World) => string[]
  tool: string
  args: (world: World) => Record<string, unknown>
  answer: RegExp
}

const servers: RealServer[] = [
  {
    source: 'npx://@modelcontextprotocol/server-everything',
    run: () => ['npx://@modelcontextprotocol/server-everything', '--', 'stdio'],
    tool: 'get-sum',
    args: () => ({ a: 2, b: 3 }),
    answer: /^The sum of 2 and 3 is 5\.$/,
  },
  {
    source: 'npx://@modelcontextprotocol/server-filesystem',
    run: (world) => {
      const files = join(world.directory, 'files')
      return ['--volume', `${files}:${files}:ro`, 'npx://@modelcontextprotocol/server-filesystem', '--', files]
    },
    tool: 'read_text_file',
    args: (world) => ({ path: join(world.directory, 'files/note.txt') }),
    answer: /^written by a test$/,
  },
  {
    source: 'npx://@modelcontextprotocol/server-memory',
    run: (world) => {
      const file = join(world.directory, 'memory.jsonl')
      const flags = ['--volume', `${file}:/memory.jsonl`, '--env', 'MEMORY_FILE_PATH=/memory.jsonl']
      return [...flags, 'npx://@modelcontextprotocol/server-memory']
    },
    tool: 'open_nodes',
    args: () => ({ names: ['Ada'] }),
    answer: /"wrote the first program"/,
  },
  {
    source: 'npx://@modelcontextprotocol/server-sequential-thinking',
    run: () => ['npx://@modelcontextprotocol/server-sequential-thinking'],
    tool: 'sequentialthinking',
    args: () => ({ thought: 'start at the end', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 }),
    answer: /"nextThoughtNeeded": false/,
  },
  {
    source: 'uvx://mcp-server-time',
    needs: 'uv',
    run: () => ['uvx://mcp-server-time', '--', '--local-timezone', 'UTC'],
    tool: 'convert_time',
    args: () => ({ source_timezone: 'UTC', time: '12:00', target_timezone: 'Asia/Tokyo' }),
    answer: /T21:00:00\+09:00/,
  },
  {
    source: 'go://github.com/modelcontextprotocol/go-sdk/examples/server/hello',
    needs: 'go',
    run: () => ['go://github.com/modelcontextprotocol/go-sdk/examples/server/hello'],
    tool: 'greet',
    args: () => ({ name: 'Grace' }),
    answer: /^Hi Grace$/,
  },
  {
    source: 'a local script',
    run: () => ['--', ...fixture('stdio-server.mjs')],
    tool: 'echo',
    args: () => ({ message: 'said once' }),
    answer: /^said once$/,
  },
]

let world: World
let inspector: Promise<string>
const peers: Peer[] = []
const started = new Map<RealServer, Promise<string>>()

beforeAll(async () => {
  world = await openWorld()
  await mkdir(join(world.directory, 'files'))
  await writeFile(join(world.directory, 'files/note.txt'), 'written by a test')
  const ada = { type: 'entity', name: 'Ada', entityType: 'person', observations: ['wrote the first program'] }
  await writeFile(join(world.directory, 'memory.jsonl'), `${JSON.stringify(ada)}\n`)
  inspector = installInspector()
  inspector.catch(() => undefined)
  for (const server of servers) {
    if (isMissing(server.needs)) continue
    const url = startServer(server)
    url.catch(() => undefined)
    started.set(server, url)
  }
})

afterAll(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close().catch(() => undefined)))
  await inspector.catch(() => undefined)
  await Promise.allSettled(started.values())
  await world.close()
})

describe.each(servers)('$source', (server) => {
  it('lists to the Inspector what it lists directly, and answers a call', async (ctx) => {
    if (isMissing(server.needs)) ctx.skip(`missing: ${server.needs}`)
    const url = await urlOf(server)
    const program = await inspector
    const at = [url, '--transport', 'http']
    const { tools } = await inspect<{ tools: Tool[] }>(program, world.directory, ...at, '--method', 'tools/list')
    // It lets servers ask for roots, and a server may have more to offer to such a client.
    expect(tools.map(withoutSchema)).toEqual((await askDirectly(server, { roots: {} })).map(withoutSchema))
    const pairs = Object.entries(server.args(world)).map(([key, value]) => `${key}=${shellValue(value)}`)
    const call = ['--method', 'tools/call', '--tool-name', server.tool, '--tool-arg', ...pairs]
    const result = await inspect<{ content: { text: string }[] }>(program, world.directory, ...at, ...call)
    expect(result.content[0]?.text).toMatch(server.answer)
  })

  it.for(generations)('lists to %s exactly what it lists directly, and answers a call', async ([, connect], ctx) => {
    if (isMissing(server.needs)) ctx.skip(`missing: ${server.needs}`)
    const peer = await connected(server, connect)
    expect((await peer.sdk.listTools()).tools).toEqual(await directTools(server))
    expect(await peer.text(server.tool, server.args(world))).toMatch(server.answer)
    expect(peer.problems).toEqual([])
  })
})

async function startServer(server: RealServer): Promise<string> {
  const name = nameOf(server)
  await world.ok('run', '--name', name, ...server.run(world))
  return (await world.list()).find((workload) => workload.name === name)!.url
}

function nameOf(server: RealServer): string {
  return `server-${servers.indexOf(server)}`
}

async function urlOf(server: RealServer): Promise<string> {
  return await started.get(server)!
}

async function connected(server: RealServer, connect: Connect): Promise<Peer> {
  const peer = await connect(await urlOf(server))
  peers.push(peer)
  return peer
}

const direct = new Map<RealServer, Promise<Tool[]>>()

/** What a second process of the very same command line lists on its own standard streams. */
async function directTools(server: RealServer): Promise<Tool[]> {
  const known = direct.get(server) ?? askDirectly(server, {})
  direct.set(server, known)
  return await known
}

async function askDirectly(server: RealServer, capabilities: { roots?: object }): Promise<Tool[]> {
  await urlOf(server)
  const { thv } = await world.status(nameOf(server))
  const pid = await innermost(thv!.server!.pid)
  const [cmdline, environ] = await Promise.all(
    ['cmdline', 'environ'].map(async (file) => await readFile(`/proc/${pid}/${file}`, 'utf8')),
  )
  const command = cmdline!.split('\0').slice(0, -1)
  const variables = environ!.split('\0').slice(0, -1)
  const environment = Object.fromEntries(variables.map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]))
  delete environment['THV_WORKLOAD_MARKER']
  const peer = await connectDirectly(command, environment, capabilities)
  const { tools } = await peer.sdk.listTools()
  await peer.close()
  expect(tools.length).toBeGreaterThan(0)
  return tools
}

/** The server itself: what starts it in its sandbox has descriptors that a second one would not have. */
async function innermost(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim()
  return children === '' ? pid : await innermost(Number(children.split(' ')[0]))
}

function withoutSchema({ name, description }: Tool): Tool {
  return description === undefined ? { name } : { name, description }
}

function shellValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isMissing(program: string | undefined): boolean {
  if (program === undefined) return false
  return !(process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, program)))
}
