import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { isThvError, listWorkloads, messageOf, systemCodeOf } from '@thv/core'
import type { Container } from './container.ts'

const execute = promisify(execFile)
/** A tool that does not tell its version within this is as good as missing. */
const toolMs = 10_000

/** One thing that was looked at. */
export interface Check {
  name: string
  /** `missing`: something optional is not there; `broken`: thv does not work without it. */
  status: 'ok' | 'missing' | 'broken'
  detail: string
  fix?: string
}

/** Looks at everything thv needs on this machine. Changes nothing but a probe file that it removes. */
export async function runChecks(container: Container, signal: AbortSignal): Promise<Check[]> {
  const uvFix = "install uv, for example with 'pip install uv'"
  const goFix = 'install Go, for example with your package manager'
  const checks = await Promise.all([
    guarded('Node.js', checkNode(container)),
    guarded('npm (npx://)', checkNpm(container, signal)),
    guarded('uv (uvx://)', checkTool(container, { tool: 'uv', name: 'uv (uvx://)', fix: uvFix, signal })),
    guarded('Go (go://)', checkTool(container, { tool: 'go', name: 'Go (go://)', fix: goFix, signal })),
    guarded('process guard', checkGuard(container)),
    guarded('directories', checkDirectories(container)),
    guarded('loopback port', checkLoopback(container)),
    guarded('isolation', checkIsolation(container)),
    guarded('containers', checkEngine(container, signal)),
    guarded('workloads', checkWorkloads(container)),
  ])
  signal.throwIfAborted()
  return checks.flat()
}

/** A check that fails is a finding, and the others are still made. */
async function guarded(name: string, check: Promise<Check | Check[]>): Promise<Check | Check[]> {
  try {
    return await check
  } catch (error) {
    const fix = isThvError(error) ? error.hint : undefined
    return { name, status: 'broken', detail: messageOf(error), ...(fix === undefined ? {} : { fix }) }
  }
}

async function checkNode(container: Container): Promise<Check> {
  const { node } = container.runtimeFacts
  const [major = 0, minor = 0] = node.replace(/^v/, '').split('.').map(Number)
  const name = 'Node.js'
  if (major > 20 || (major === 20 && minor >= 19)) return { name, status: 'ok', detail: node }
  return { name, status: 'broken', detail: `${node} is too old`, fix: 'install Node.js 20.19 or newer' }
}

async function checkTool(
  container: Container,
  wanted: { tool: string; name: string; fix: string; signal: AbortSignal },
): Promise<Check> {
  const { name, tool, fix } = wanted
  const version = await toolVersion(container, tool, wanted.signal)
  if (version !== undefined) return { name, status: 'ok', detail: version }
  return { name, status: 'missing', detail: `${tool} is not on the search path`, fix }
}

async function checkNpm(container: Container, signal: AbortSignal): Promise<Check> {
  const name = 'npm (npx://)'
  const { findNpm } = await container.adapters()
  const command = await findNpm(container.environment)
  const version = command === undefined ? undefined : await versionOf(command, '--version', signal)
  if (version !== undefined) return { name, status: 'ok', detail: version }
  const detail =
    command === undefined ? 'npm is neither beside Node nor on the search path' : `${command.join(' ')} does not run`
  return { name, status: 'missing', detail, fix: 'install npm, it comes with Node.js' }
}

async function checkGuard(container: Container): Promise<Check> {
  const name = 'process guard'
  if (container.runtimeFacts.platform.startsWith('win32')) {
    return { name, status: 'missing', detail: 'on Windows a killed supervisor ends its server, not what that started' }
  }
  const works = await shellWorks()
  if (works) return { name, status: 'ok', detail: 'servers end with their supervisor, also after SIGKILL' }
  return { name, status: 'broken', detail: '/bin/sh does not run', fix: 'install a POSIX shell at /bin/sh' }
}

async function checkDirectories(container: Container): Promise<Check[]> {
  const entries = Object.entries(await container.directories())
  return await Promise.all(entries.map(async ([label, directory]) => await checkDirectory(label, directory)))
}

async function checkDirectory(label: string, directory: string): Promise<Check> {
  const name = `${label} directory`
  try {
    await probeDirectory(directory)
    return { name, status: 'ok', detail: directory }
  } catch (error) {
    return {
      name,
      status: 'broken',
      detail: messageOf(error),
      fix: `make ${directory} writable for your user, or set the XDG variable that names it`,
    }
  }
}

async function checkEngine(container: Container, signal: AbortSignal): Promise<Check> {
  const name = 'containers'
  try {
    const { kind, socketPath } = await container.engines.find(signal)
    return { name, status: 'ok', detail: `${kind} at ${socketPath}` }
  } catch (error) {
    if (!isThvError(error) || error.code !== 'engine-unreachable') throw error
    const detail = error.detail.length === 0 ? 'no engine answers, so images cannot be run' : error.detail.join('; ')
    return { name, status: 'missing', detail, fix: 'start Docker, Podman or Colima' }
  }
}

async function checkLoopback(container: Container): Promise<Check> {
  const name = 'loopback port'
  try {
    const ports = await container.ports()
    await ports.findFree('127.0.0.1')
    return { name, status: 'ok', detail: 'the proxy can listen on 127.0.0.1' }
  } catch (error) {
    return { name, status: 'broken', detail: messageOf(error), fix: 'check the limits on open files and the firewall' }
  }
}

async function checkIsolation(container: Container): Promise<Check> {
  const name = 'isolation'
  const { probeSandbox } = await container.adapters()
  const support = await probeSandbox()
  if (support.works) return { name, status: 'ok', detail: 'servers run in a sandbox (bubblewrap)' }
  return { name, status: 'missing', detail: `servers run without a sandbox: ${support.reason}`, fix: support.hint }
}

async function checkWorkloads(container: Container): Promise<Check> {
  const name = 'workloads'
  const { workloads, problems } = await listWorkloads(await container.reading(), { all: true })
  const bad = workloads.filter((workload) => ['error', 'unhealthy', 'unknown'].includes(workload.status))
  const counted = `${workloads.length} saved, ${bad.length} not well, ${problems.length} unreadable files`
  if (bad.length + problems.length === 0) return { name, status: 'ok', detail: counted }
  const names = bad.map((workload) => workload.name).join(', ')
  const files = problems.map((problem) => problem.file).join(', ')
  return {
    name,
    status: 'missing',
    detail: counted,
    fix: `look at ${[names, files].filter((text) => text !== '').join(', ')} with 'thv status' and 'thv logs'`,
  }
}

/** What a tool says of its version; undefined when it is not there or does not run. */
async function toolVersion(container: Container, tool: string, signal: AbortSignal): Promise<string | undefined> {
  const { findExecutable } = await container.adapters()
  const searchPath = container.environment['PATH'] ?? ''
  try {
    const executable = await findExecutable(tool, { workingDirectory: process.cwd(), searchPath })
    return await versionOf([executable], tool === 'go' ? 'version' : '--version', signal)
  } catch {
    return undefined
  }
}

async function versionOf(
  [executable, ...leading]: readonly [string, ...string[]],
  argument: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { stdout } = await execute(executable, [...leading, argument], { signal, timeout: toolMs })
    return stdout.trim().split('\n')[0]
  } catch {
    return undefined
  }
}

async function shellWorks(): Promise<boolean> {
  try {
    const { stdout } = await execute('/bin/sh', ['-c', 'echo ok'], { timeout: toolMs })
    return stdout === 'ok\n'
  } catch {
    return false
  }
}

/** A directory that does not exist yet is fine when it could be created. */
async function probeDirectory(directory: string): Promise<void> {
  try {
    const probe = join(directory, `.doctor-${process.pid}`)
    const file = await open(probe, 'wx', 0o600)
    await file.close()
    await rm(probe)
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT' || dirname(directory) === directory) throw error
    await access(dirname(directory), constants.W_OK).catch(async (problem: unknown) => {
      if (systemCodeOf(problem) !== 'ENOENT') throw problem
      await probeDirectory(dirname(directory))
    })
  }
}
