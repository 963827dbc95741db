import { ThvError } from '@thv/core'
import { lastLines } from './redact.ts'
import type { ToolResult } from './run-tool.ts'

/** Why uv failed, as one of our errors. Pure. */
export function uvFailure(wanted: { name: string; version?: string | undefined }, result: ToolResult): ThvError {
  const text = result.errors
  const detail = lastLines(text)
  const { name, version } = wanted
  if (
    /No interpreter found|Python downloads? (?:is|are) disabled|No Python at|Could not find a suitable Python/i.test(
      text,
    )
  ) {
    return new ThvError('package-tool-missing', 'uv finds no Python to use', {
      hint: "install Python 3, for example 'uv python install'",
      detail,
    })
  }
  if (
    result.late ||
    /error sending request|Failed to fetch|dns error|Could not connect|tcp connect error|Connection refused|network connectivity/i.test(
      text,
    )
  ) {
    return new ThvError('package-index-unreachable', 'the Python package index cannot be reached', {
      hint: 'check the network, the proxy and the index setting of uv',
      detail,
    })
  }
  if (/was not found in the package registry/i.test(text)) {
    return new ThvError('package-not-found', `the Python package index knows no ${name}`, {
      hint: 'check the spelling',
      detail,
    })
  }
  if (/there (?:is|are) no versions? of|unsatisfiable|Failed to parse|only .* (?:is|are) available/i.test(text)) {
    return new ThvError('package-version-not-found', `${name} has no version ${version ?? ''} for this machine`, {
      hint: 'leave the version out for the newest; it may also need another Python',
      detail,
    })
  }
  return new ThvError('package-install-failed', `uv failed for ${name} (exit ${result.code})`, {
    hint: 'the last lines of uv tell more',
    detail,
  })
}
