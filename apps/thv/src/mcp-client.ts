import { Client } from '@modelcontextprotocol/client'
import { SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { getWorkload, messageOf, parseGoDuration, ThvError } from '@thv/core'
import { buildInfo } from './build-info.ts'
import type { CommandContext, CommandInput } from './command.ts'
import { textOption } from './options.ts'

/** A connection to one MCP endpoint for one command. */
export interface McpSession {
  client: Client
  signal: AbortSignal
}

/** Connects to `--server`, runs the action, and disconnects. `mcp-unreachable` when nobody answers. */
export async function withMcpSession<T>(
  context: CommandContext,
  input: CommandInput,
  action: (session: McpSession) => Promise<T>,
): Promise<T> {
  const timeoutMs = parseGoDuration(textOption(input, 'timeout') ?? '30s')
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(timeoutMs)])
  const endpoint = await resolveEndpoint(context, input)
  const client = new Client({ name: 'thv', version: buildInfo.version }, { capabilities: {} })
  try {
    await client.connect(openTransport(endpoint), { signal, timeout: timeoutMs })
  } catch (error) {
    throw new ThvError('mcp-unreachable', `no MCP server answers at ${endpoint.url.href}: ${messageOf(error)}`, {
      hint: "check the address, or see 'thv list' for what runs",
      cause: error,
    })
  }
  try {
    return await action({ client, signal })
  } finally {
    await client.close()
  }
}

interface Endpoint {
  url: URL
  sse: boolean
}

async function resolveEndpoint(context: CommandContext, input: CommandInput): Promise<Endpoint> {
  const server = textOption(input, 'server')
  if (server === undefined) {
    throw new ThvError('invalid-argument', 'no server is given', { hint: 'add --server NAME or --server URL' })
  }
  const text = /^https?:\/\//.test(server) ? server : await urlOf(context, server)
  const url = parseUrl(text)
  const transport = textOption(input, 'transport') ?? 'auto'
  const looksSse = url.pathname.endsWith('/sse')
  url.hash = ''
  return { url, sse: transport === 'sse' || (transport === 'auto' && looksSse) }
}

async function urlOf(context: CommandContext, name: string): Promise<string> {
  const workload = await getWorkload(await context.container.reading(), name)
  if (workload.status === 'running') return workload.url
  throw new ThvError('mcp-unreachable', `'${name}' is ${workload.status}, not running`, {
    hint: `start it with 'thv start ${name}'`,
  })
}

function parseUrl(text: string): URL {
  try {
    return new URL(text)
  } catch (error) {
    throw new ThvError('invalid-argument', `'${text}' is not a URL`, {
      hint: 'write http://127.0.0.1:PORT/mcp or a workload name',
      cause: error,
    })
  }
}

function openTransport({ url, sse }: Endpoint) {
  return sse ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url)
}
