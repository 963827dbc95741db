import { limits, ThvError, type PackageSource, type ResolvedPackage } from '@thv/core'
import { packageLimits } from './package-limits.ts'
import { asRecord, parseJson } from './read-json.ts'
import { lastLines } from './redact.ts'
import type { ToolResult } from './run-tool.ts'

/** Runs Go with these arguments. */
export type RunGo = (
  args: readonly string[],
  place: { directory: string; bin?: string | undefined; withinMs: number },
  signal: AbortSignal,
) => Promise<ToolResult>

/**
 * Asks Go which version a source means. A Go path names a package, while versions
 * belong to the module around it, so every leading part of the path is asked for, and
 * the longest that is a module counts.
 */
export async function askGoIndex(
  source: PackageSource,
  go: { run: RunGo; directory: string },
  signal: AbortSignal,
): Promise<ResolvedPackage> {
  const query = source.version ?? 'latest'
  const answer = await ask(query)
  if (answer.version !== undefined) return { kind: 'go', name: source.name, version: answer.version }
  const failure = goFailure(source, answer.errors, answer.result)
  if (query === 'latest' || failure.code === 'package-index-unreachable') throw failure
  const newest = await ask('latest')
  if (newest.version === undefined) throw failure
  throw new ThvError('package-version-not-found', `${source.name} has no version ${query}`, {
    hint: `the newest is ${newest.version}`,
    detail: failure.detail,
  })

  async function ask(version: string) {
    const specs = modulePaths(source.name).map((path) => `${path}@${version}`)
    const place = { directory: go.directory, withinMs: limits.packageResolveMs }
    const result = await go.run(['list', '-e', '-m', '-json=Path,Version,Error', ...specs], place, signal)
    return { ...parseGoList(result.output), result }
  }
}

/** Every leading part of a path that can be a module, longest first. Pure. */
export function modulePaths(path: string): string[] {
  const parts = path.split('/').slice(0, packageLimits.goPathElements)
  // On the well-known hosts a module has an owner and a name.
  const least = ['github.com', 'gitlab.com', 'bitbucket.org'].includes(parts[0] ?? '') ? 3 : 2
  const paths = []
  for (let count = parts.length; count >= Math.min(least, parts.length); count -= 1)
    paths.push(parts.slice(0, count).join('/'))
  return paths
}

/** What `go list -e -m -json` prints for several modules: objects one after another. Pure. */
export function parseGoList(text: string): { version: string | undefined; errors: string[] } {
  let version: string | undefined
  let longest = 0
  const errors: string[] = []
  // Objects are indented, so only their ends stand at the beginning of a line.
  for (const part of text.split(/^}$/m)) {
    const record = asRecord(parseJson(`${part}}`))
    if (record === undefined) continue
    const { Path: path, Version: found, Error: error } = record
    const message = asRecord(error)?.['Err']
    if (typeof message === 'string') errors.push(message)
    else if (typeof path === 'string' && typeof found === 'string' && path.length > longest) {
      longest = path.length
      version = found
    }
  }
  return { version, errors }
}

const unreachable =
  /dial tcp|connection refused|no such host|i\/o timeout|TLS handshake|network is unreachable|Could not resolve host|proxyconnect|Client\.Timeout/i

/** Why Go failed, as one of our errors. Pure. */
export function goFailure(
  wanted: { name: string; version?: string | undefined },
  messages: readonly string[],
  result: ToolResult,
): ThvError {
  const { name, version } = wanted
  const detail = lastLines([...messages, result.errors].join('\n'))
  // A proxy that does not have a module sends Go to the origin, which may be out of reach without
  // meaning anything: only when nobody gave a definite answer is the index unreachable.
  const definite = messages.filter((message) => !unreachable.test(message))
  if (result.late || (messages.length > 0 && definite.length === 0)) {
    return new ThvError('package-index-unreachable', 'the Go module index cannot be reached', {
      hint: 'check the network and the GOPROXY setting of Go',
      detail,
    })
  }
  if (definite.some((message) => /is not a main package/.test(message))) {
    return new ThvError('package-has-no-command', `${name} has no program to start: it is a library`, {
      hint: 'give the path of the directory with package main',
      detail,
    })
  }
  if (definite.some((message) => /does not contain package/.test(message))) {
    return new ThvError('package-not-found', `the module of ${name} has no such package`, {
      hint: 'check the path below the module',
      detail,
    })
  }
  const missing =
    /no matching versions|unknown revision|invalid version|not found|not available|40[34]|410 Gone|unrecognized import path|malformed module path/i
  if (definite.some((message) => missing.test(message))) {
    return new ThvError(
      'package-not-found',
      `there is no Go module for ${name}${version === undefined ? '' : ` ${version}`}`,
      {
        hint: 'check the spelling; private modules need the GOPRIVATE setting of Go',
        detail,
      },
    )
  }
  return new ThvError('package-install-failed', `go failed for ${name} (exit ${result.code})`, {
    hint: 'the last lines of go tell more; old modules may need another Go',
    detail,
  })
}
