import { packageLimits } from './package-limits.ts'

/** The last lines of a tool's output for a human, without what may be a secret. */
export function lastLines(output: string): string[] {
  return output
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-packageLimits.toolLines)
    .map((line) => redact(line).slice(0, packageLimits.toolLineLength))
}

/** Removes user and password from URLs, and whole values that follow a name of a secret. */
export function redact(line: string): string {
  return line
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
    .replaceAll(
      /((?:_authToken|_auth|_password|authorization|token|password|secret)["']?\s*[=:]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"',]+/gi,
      '$1***',
    )
    .replaceAll(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 ***')
    .replaceAll(/\b(?:npm|pypi|ghp|gho|github_pat)[_-][A-Za-z0-9_-]{16,}/g, '***')
}
