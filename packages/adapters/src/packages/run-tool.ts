import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { platform } from 'node:os'
import { messageOf, ThvError } from '@thv/core'
import { packageLimits } from './package-limits.ts'

/** One call of an installer's program. Never through a shell. */
export interface ToolCall {
  file: string
  args: readonly string[]
  environment: Readonly<Record<string, string | undefined>>
  workingDirectory: string
  /** Text for its standard input. */
  input?: string
  /** It is killed when this is over. */
  withinMs: number
}

/** What a tool has said. */
export interface ToolResult {
  code: number | null
  output: string
  errors: string
  /** It was killed because its time was over. */
  late: boolean
}

/**
 * Runs a program in a process group of its own. When the signal aborts, the whole
 * group is killed, and the call rejects with the signal's reason once it is gone.
 * `package-tool-missing` when the program cannot be started.
 */
export async function runTool(call: ToolCall, signal: AbortSignal): Promise<ToolResult> {
  signal.throwIfAborted()
  const [wrapper, ...options] = await parentDeathPrefix(call.file)
  const [file, args] = wrapper === undefined ? [call.file, call.args] : [wrapper, [...options, call.file, ...call.args]]
  const child = spawn(file, [...args], {
    cwd: call.workingDirectory,
    env: definedOnly(call.environment),
    detached: platform() !== 'win32',
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  })
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {})
  child.stdin.end(call.input ?? '')
  const output = collect(child.stdout)
  const errors = collect(child.stderr)
  let late = false
  const timer = setTimeout(() => {
    late = true
    killGroup(child)
  }, call.withinMs)
  function abort(): void {
    killGroup(child)
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (error) => {
        reject(
          new ThvError('package-tool-missing', `${call.file} cannot be started: ${messageOf(error)}`, { cause: error }),
        )
      })
      child.once('close', resolve)
    })
    signal.throwIfAborted()
    return { code, output: output(), errors: errors(), late }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

let prefix: Promise<string[]> | undefined

/**
 * Where the system's `setpriv` can, the kernel ends the tool when this process dies:
 * an install that nobody waits for would otherwise write on into a directory that is
 * being cleaned up. Tried once per process, because busybox has one without the option.
 */
async function parentDeathPrefix(file: string): Promise<string[]> {
  // The wrapper would say in its own words that there is no such program.
  if (!existsSync(file)) return []
  prefix ??= new Promise((resolve) => {
    const command = ['/usr/bin/setpriv', '--pdeathsig', 'KILL']
    const [setpriv = '', ...args] = command
    if (platform() !== 'linux') return resolve([])
    const trial = spawn(setpriv, [...args, '/bin/sh', '-c', ':'], { stdio: 'ignore' })
    trial.once('error', () => resolve([]))
    trial.once('exit', (code) => resolve(code === 0 ? command : []))
  })
  return await prefix
}

/** Keeps the end of a stream, where tools say what went wrong. */
function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    while (bytes > packageLimits.toolOutputBytes) bytes -= chunks.shift()?.length ?? bytes
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

function killGroup(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    // The leader is gone; whoever still holds its output must not keep us waiting.
    child.stdout?.destroy()
    child.stderr?.destroy()
    return
  }
  if (platform() === 'win32') {
    execFile('taskkill', ['/PID', String(pid), '/T', '/F'], { windowsHide: true }, () => {})
    return
  }
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

function definedOnly(environment: ToolCall['environment']): Record<string, string> {
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(entries)
}
