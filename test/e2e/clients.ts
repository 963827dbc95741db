import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Client as ClientV2,
  SSEClientTransport as SseV2,
  StreamableHTTPClientTransport as StreamableV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as StreamableV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { collect, eventually, root, type CommandResult } from './harness.ts'

/** What tests read of a tool. */
export interface Tool {
  name: string
  description?: string
}

/** What tests read of a result. */
export interface ToolResult {
  content: { type: string; text?: string }[]
  isError?: boolean
}

/** Per call: progress and cancellation. */
export interface CallOptions {
  onprogress?: (progress: { progress: number; total?: number | undefined; message?: string | undefined }) => void
  signal?: AbortSignal
}

/** What both SDK generations have in common, as far as tests use it. */
export interface SdkMethods {
  listTools(): Promise<{ tools: Tool[] }>
  listResources(): Promise<{ resources: { uri: string }[] }>
  listResourceTemplates(): Promise<{ resourceTemplates: { uriTemplate: string }[] }>
  readResource(params: { uri: string }): Promise<{ contents: { uri: string; text?: string }[] }>
  subscribeResource(params: { uri: string }): Promise<unknown>
  unsubscribeResource(params: { uri: string }): Promise<unknown>
  listPrompts(): Promise<{ prompts: { name: string }[] }>
  getPrompt(params: { name: string; arguments?: Record<string, string> }): Promise<{ messages: { content: unknown }[] }>
  complete(params: {
    ref: { type: 'ref/prompt'; name: string }
    argument: { name: string; value: string }
  }): Promise<{ completion: { values: string[] } }>
  setLoggingLevel(level: 'debug' | 'error'): Promise<unknown>
  ping(): Promise<unknown>
  getServerVersion(): { name: string } | undefined
  close(): Promise<void>
}

/** A connected SDK client of either generation, with everything it was told unasked. */
export interface Peer {
  readonly sdk: SdkMethods
  /** Notifications that belong to no call. */
  readonly notifications: { method: string; params?: Record<string, unknown> }[]
  /** What the client complained about: answers to calls it never made, broken messages. */
  readonly problems: string[]
  call(tool: string, args?: object, options?: CallOptions): Promise<ToolResult>
  /** The first text block of a call's result. */
  text(tool: string, args?: object, options?: CallOptions): Promise<string>
  /** Waits for a notification. */
  seen(method: string, withinMs?: number): Promise<Record<string, unknown>>
  /** Ends the session the way its transport does. */
  close(): Promise<void>
}

/**
 * Whether these are the steps 1 to `total`. Both SDKs lose the last one when it comes in the same read as the answer,
 * with and without a proxy; tests that read the wire themselves look at it.
 */
export function isProgressTo(total: number, steps: readonly number[]): boolean {
  return steps.length >= total - 1 && steps.length <= total && steps.every((step, index) => step === index + 1)
}

/** What a client complained about, apart from that. */
export function realProblems(peer: Peer): string[] {
  return peer.problems.filter((problem) => !/progress notification for an unknown token/.test(problem))
}

/** Opens a client against a URL. */
export type Connect = (url: string) => Promise<Peer>

/** By default both give up after two tries, which a busy machine may take to start a supervisor. */
const reconnectionOptions = {
  initialReconnectionDelay: 1_000,
  maxReconnectionDelay: 1_000,
  reconnectionDelayGrowFactor: 1,
  maxRetries: 30,
}

/** SDK v1: Streamable HTTP, or HTTP+SSE when the URL says so. */
export const connectV1: Connect = async (url) => {
  const client = new ClientV1({ name: 'v1', version: '1.0.0' })
  const stream = watchStream()
  const transport = isSse(url)
    ? new SseV1(new URL(url))
    : new StreamableV1(new URL(url), { fetch: stream.fetch, reconnectionOptions })
  const peer = wrap(client, async (tool, args, options) => {
    return await client.callTool({ name: tool, arguments: { ...args } }, undefined, options)
  })
  await client.connect(transport)
  if (transport instanceof StreamableV1) await stream.opened
  return transport instanceof StreamableV1 ? endingSession(peer, async () => await transport.terminateSession()) : peer
}

/** SDK v2 with its default, the Legacy revisions. */
export const connectV2: Connect = async (url) => {
  const client = new ClientV2({ name: 'v2', version: '1.0.0' })
  const stream = watchStream()
  const transport = isSse(url)
    ? new SseV2(new URL(url))
    : new StreamableV2(new URL(url), { fetch: stream.fetch, reconnectionOptions })
  const peer = wrap(client, async (tool, args, options) => {
    return await client.callTool({ name: tool, arguments: { ...args } }, options)
  })
  await client.connect(transport)
  if (transport instanceof StreamableV2) await stream.opened
  return transport instanceof StreamableV2 ? endingSession(peer, async () => await transport.terminateSession()) : peer
}

/** Both generations, for `describe.each`. */
export const generations: [string, Connect][] = [
  ['SDK v1', connectV1],
  ['SDK v2', connectV2],
]

/** SDK v1 on a server's own standard streams: what it says without a proxy. */
export async function connectDirectly(
  command: readonly string[],
  environment: Record<string, string>,
  capabilities: { roots?: object } = {},
): Promise<Peer> {
  const [file = '', ...args] = command
  const client = new ClientV1({ name: 'direct', version: '1.0.0' }, { capabilities })
  const peer = wrap(client, async (tool, given, options) => {
    return await client.callTool({ name: tool, arguments: { ...given } }, undefined, options)
  })
  await client.connect(new StdioClientTransport({ command: file, args, env: environment, stderr: 'ignore' }))
  return peer
}

const inspectorVersion = '2.12.0'
const inspectorDirectory = join(root, 'node_modules/.cache/thv-test/inspector')

/** Installs the Inspector, unless it is there, and resolves to its program. */
export async function installInspector(): Promise<string> {
  const place = join(inspectorDirectory, inspectorVersion)
  const program = join(place, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js')
  if (existsSync(program)) return program
  await mkdir(place, { recursive: true })
  const flags = ['--prefix', place, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save']
  const npm = spawn('npm', ['install', ...flags, `@modelcontextprotocol/inspector@${inspectorVersion}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { code, stderr } = await collect(npm)
  if (code !== 0) throw new Error(`the Inspector cannot be installed: ${stderr}`)
  return program
}

/** Runs one method of the Inspector's command line and resolves to what it printed. */
export async function inspect<T>(program: string, home: string, ...args: string[]): Promise<T> {
  const child = spawn(process.execPath, [program, '--cli', ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result: CommandResult = await collect(child)
  if (result.code !== 0) throw new Error(`inspector ${args.join(' ')} exited ${result.code}: ${result.stderr}`)
  const value: T = JSON.parse(result.stdout)
  return value
}

interface SdkClient {
  fallbackNotificationHandler?: (notification: {
    method: string
    params?: Record<string, unknown> | undefined
  }) => Promise<void>
}

function wrap(
  client: unknown,
  call: (tool: string, args: object | undefined, options: CallOptions | undefined) => Promise<unknown>,
): Peer {
  const sdk = client as SdkMethods & SdkClient
  const notifications: Peer['notifications'] = []
  const problems: string[] = []
  sdk.fallbackNotificationHandler = async ({ method, params }) => {
    notifications.push(params === undefined ? { method } : { method, params })
    return await Promise.resolve()
  }
  Object.assign(sdk, { onerror: (error: Error) => void problems.push(error.message) })
  const typedCall = async (tool: string, args?: object, options?: CallOptions): Promise<ToolResult> =>
    (await call(tool, args, options)) as ToolResult
  return {
    sdk,
    notifications,
    problems,
    call: typedCall,
    text: async (tool, args, options) => (await typedCall(tool, args, options)).content[0]?.text ?? '',
    seen: async (method, withinMs = 10_000) =>
      await eventually(`a ${method} arrives`, withinMs, async () => {
        const found = notifications.find((notification) => notification.method === method)
        return await Promise.resolve(found === undefined ? undefined : (found.params ?? {}))
      }),
    close: async () => await sdk.close(),
  }
}

/** A client that is closed does not end its session by itself; a test's clients do. */
function endingSession(peer: Peer, terminate: () => Promise<void>): Peer {
  return {
    ...peer,
    close: async () => {
      await terminate().catch(() => undefined)
      await peer.close()
    },
  }
}

/** The clients open their event stream in the background; what is sent before it is open is for nobody. */
function watchStream(): { fetch: typeof fetch; opened: Promise<void> } {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    opened,
    fetch: async (input, init) => {
      const response = await fetch(input, init)
      if (init?.method === 'GET') open()
      return response
    },
  }
}

function isSse(url: string): boolean {
  return new URL(url).pathname === '/sse'
}
