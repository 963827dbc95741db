import { limits, ThvError, type PackageSource, type ResolvedPackage } from '@thv/core'
import { packageLimits } from './package-limits.ts'
import { asRecord, parseJson } from './read-json.ts'
import { lastLines, redact } from './redact.ts'
import type { ToolResult } from './run-tool.ts'
import { compareVersions } from './version-order.ts'

/** Runs npm with these arguments. */
export type RunNpm = (
  args: readonly string[],
  place: { directory: string; withinMs: number },
  signal: AbortSignal,
) => Promise<ToolResult>

/** Asks npm's registry what a source means: the highest version of a range, or what a tag stands for. */
export async function askNpmIndex(
  source: PackageSource,
  npm: { run: RunNpm; directory: string },
  signal: AbortSignal,
): Promise<ResolvedPackage> {
  const spec = `${source.name}@${source.version ?? 'latest'}`
  const result = await view([spec, 'name', 'version', 'dist.integrity'])
  if (result.code !== 0 && errorCode(result) !== 'ETARGET' && errorCode(result) !== 'E404')
    throw npmFailure(spec, result)
  const found = result.code === 0 ? parseNpmView(result.output, source.name) : undefined
  if (found !== undefined) return found
  // The same error tells a missing package and a missing version; a second question tells them apart.
  const all = await view([source.name, 'versions'])
  if (all.code !== 0) throw npmFailure(source.name, all)
  throw versionNotFound(source, parseJson(all.output))

  async function view(args: string[]): Promise<ToolResult> {
    const patience = ['--fetch-retries=1', '--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=2000']
    const place = { directory: npm.directory, withinMs: limits.packageResolveMs }
    return await npm.run(['view', '--json', '--loglevel=error', ...patience, '--', ...args], place, signal)
  }
}

/** What `npm view <spec> name version dist.integrity --json` prints: an object, or an array for several. Pure. */
export function parseNpmView(output: string, name: string): ResolvedPackage | undefined {
  const value = parseJson(output)
  const rows = (Array.isArray(value) ? value : [value]).flatMap((row: unknown) => {
    const record = asRecord(row)
    const version = record?.['version']
    return record === undefined || typeof version !== 'string' ? [] : [{ record, version }]
  })
  rows.sort((a, b) => compareVersions(a.version, b.version))
  const highest = rows.at(-1)
  if (highest === undefined) return undefined
  const integrity = highest.record['dist.integrity'] ?? asRecord(highest.record['dist'])?.['integrity']
  const resolved: ResolvedPackage = { kind: 'npx', name, version: highest.version }
  return typeof integrity === 'string' ? { ...resolved, integrity } : resolved
}

/** Why npm failed, as one of our errors. Pure. */
export function npmFailure(spec: string, result: ToolResult): ThvError {
  const code = errorCode(result)
  const detail = lastLines(forUsers(result.errors))
  if (
    result.late ||
    /^(?:ENOTFOUND|ECONN\w*|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT|E5\d\d|FETCH_ERROR|EPROTO|ERR_SSL\w*|CERT_\w+|UNABLE_TO_\w+|SELF_SIGNED\w*|DEPTH_ZERO\w*)$/.test(
      code,
    )
  ) {
    const why = result.late ? 'it does not answer' : redact(summary(result) ?? code)
    return new ThvError('package-index-unreachable', `the npm registry cannot be reached: ${why}`, {
      hint: 'check the network, the proxy and the registry setting of npm',
      detail,
    })
  }
  if (code === 'E404') {
    return new ThvError('package-not-found', `npm knows no package ${spec}`, {
      hint: 'check the spelling; a private package needs a login in ~/.npmrc',
      detail,
    })
  }
  if (code === 'ETARGET') {
    return new ThvError('package-version-not-found', `npm knows no version ${spec}`, { detail })
  }
  return new ThvError(
    'package-install-failed',
    `npm failed for ${spec} (${code === '' ? `exit ${result.code}` : code})`,
    {
      hint: 'the last lines of npm tell more',
      detail,
    },
  )
}

/** npm ended well and installed nothing: one of the user's settings makes it so. */
export function npmLeftNothing(spec: string, result: ToolResult): ThvError {
  return new ThvError('package-install-failed', `npm said that it installed ${spec}, and it is not there`, {
    hint: "look at your npm settings with 'npm config list'",
    detail: lastLines(forUsers(`${result.output}\n${result.errors}`)),
  })
}

/** Without the lines that are for the authors of npm: where in its code it failed. */
function forUsers(errors: string): string {
  const lines = errors.split(/\r?\n/)
  return lines.filter((line) => !/^(?:npm (?:error|ERR!)\s+)?(?:\s*at \S|FetchError: )/.test(line)).join('\n')
}

function versionNotFound(source: PackageSource, listed: unknown): ThvError {
  const versions = (Array.isArray(listed) ? listed : [listed]).filter((one): one is string => typeof one === 'string')
  const newest = versions.sort(compareVersions).toReversed().slice(0, packageLimits.offeredVersions)
  const more = newest.length === 0 ? {} : { hint: `newest versions: ${newest.join(', ')}` }
  return new ThvError(
    'package-version-not-found',
    `${source.name} has no version that matches ${source.version ?? 'latest'}`,
    more,
  )
}

/** From `--json` output, else from the `npm error code …` line. */
function errorCode(result: ToolResult): string {
  const code = asRecord(asRecord(parseJson(result.output))?.['error'])?.['code']
  if (typeof code === 'string') return code
  return /^npm (?:error|ERR!) code (\S+)/m.exec(result.errors)?.[1] ?? ''
}

function summary(result: ToolResult): string | undefined {
  const text = asRecord(asRecord(parseJson(result.output))?.['error'])?.['summary']
  return typeof text === 'string' ? text : undefined
}
