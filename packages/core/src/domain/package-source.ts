import { ThvError } from '../errors.ts'
import { sanitizeWorkloadName } from './workload-name.ts'

/** The package ecosystems a server can be started from. */
export const packageKinds = ['npx', 'uvx', 'go'] as const
export type PackageKind = (typeof packageKinds)[number]

/** A package as the user names it; `version` is what stands after the last `@`, if anything. */
export interface PackageSource {
  kind: PackageKind
  name: string
  version: string | undefined
}

/** A package after resolution: this exact version is what the cache holds and what is started. */
export interface ResolvedPackage {
  kind: PackageKind
  name: string
  version: string
  /** As the index states it: npm's `sha512-…`, a wheel's `sha256:…`, Go's `h1:…`; absent where the index gives none. */
  integrity?: string
}

const scheme = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s
// npm scope and name, PyPI name with extras, Go module path; never a leading dash (it would read as an option).
const nameRules: Record<PackageKind, RegExp> = {
  npx: /^(?:@[a-z0-9~][\w.~-]*\/)?[a-z0-9~][\w.~-]*$/i,
  uvx: /^[a-z0-9](?:[\w.-]*[a-z0-9])?(?:\[[\w.,-]+\])?$/i,
  go: /^[a-z0-9][\w.~/-]*$/i,
}
const versionRule = /^[a-z0-9^~<>=*][\w.+^~<>=*!-]{0,127}$/i

/** Whether an argument of `run` names a package (`npx://…`, `uvx://…`, `go://…`). */
export function isPackageArgument(argument: string): boolean {
  return packageKinds.some((kind) => argument.startsWith(`${kind}://`))
}

/** The path in `go://./directory` or `go:///directory`, which is source code of this machine; undefined for anything else. */
export function localPathOf(argument: string): string | undefined {
  return /^go:\/\/(\.|\.{0,2}\/.*)$/s.exec(argument)?.[1]
}

/**
 * Parses `npx://name[@version]`, `uvx://name[@version]` or `go://module[@version]`.
 * Throws `package-scheme-invalid` or `package-name-invalid`.
 */
export function parsePackageSource(argument: string): PackageSource {
  const match = scheme.exec(argument)
  const kind = packageKinds.find((known) => known === match?.[1])
  if (match === null || kind === undefined) {
    throw new ThvError('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${argument}'`, {
      hint: 'use npx://package, uvx://package or go://module, or a local command after --',
    })
  }
  const rest = match[2] ?? ''
  const at = rest.lastIndexOf('@')
  const name = at > 0 ? rest.slice(0, at) : rest
  const version = at > 0 ? rest.slice(at + 1) : undefined
  if (!nameRules[kind].test(name) || name.length > 214 || name.includes('..')) {
    throw new ThvError('package-name-invalid', `'${rest}' is not the name of ${ecosystemOf[kind]}`, {
      hint: `write ${kind}://${exampleOf[kind]}`,
    })
  }
  if (version !== undefined && !versionRule.test(version)) {
    throw new ThvError('package-name-invalid', `'${version}' is not a version of ${name}`, {
      hint: `write ${kind}://${name}@1.2.3, or leave the version out for the newest`,
    })
  }
  return { kind, name, version }
}

/** `npx://name@version`: how a resolved package is written in a run config and in lists. */
export function formatPackage(found: { kind: PackageKind; name: string; version?: string | undefined }): string {
  return `${found.kind}://${found.name}${found.version === undefined ? '' : `@${found.version}`}`
}

/** A Python package and its version as pip and uv write them: `latest` is no version there. */
export function formatPythonRequirement({ name, version }: { name: string; version?: string | undefined }): string {
  if (version === undefined || version === 'latest') return name
  return /^[<>=~!]/.test(version) ? `${name}${version}` : `${name}==${version}`
}

/** The workload name chosen when `--name` is absent: spec/local 2.5. */
export function packageWorkloadName(source: PackageSource): string {
  const base = `${source.name}${source.version === undefined ? '' : `@${source.version}`}`
    .replace(/^\.{1,2}\//, '')
    .replace(/[/@.[\],]/g, '-')
    .replace(/^-/, '')
  return base === '' ? 'toolhive-container' : sanitizeWorkloadName(base)
}

const ecosystemOf: Record<PackageKind, string> = { npx: 'an npm package', uvx: 'a Python package', go: 'a Go module' }
const exampleOf: Record<PackageKind, string> = {
  npx: '@modelcontextprotocol/server-everything',
  uvx: 'mcp-server-time',
  go: 'github.com/owner/server@latest',
}
