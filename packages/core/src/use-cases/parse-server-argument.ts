import { isPackageArgument, localPathOf } from '../domain/package-source.ts'
import { ThvError } from '../errors.ts'

/**
 * What a user calls a server: a package by its scheme, source code by its path, or else an image. `resolvePath` makes
 * a path absolute that is relative to where the user is; without it such a path is refused. Throws for any other scheme.
 */
export function parseServerArgument(
  text: string,
  resolvePath?: (path: string) => string,
): { source: string } | { image: string } {
  const path = localPathOf(text)
  if (path !== undefined) {
    if (resolvePath !== undefined) return { source: `go://${resolvePath(path)}` }
    if (path.startsWith('/')) return { source: text }
    return refuse('invalid-argument', `'${text}' is relative to nothing here`, 'write go:// and an absolute path')
  }
  if (isPackageArgument(text)) return { source: text }
  if (!/^[a-z][a-z0-9+.-]*:\/\//.test(text)) return { image: text }
  const hint = 'use npx://package, uvx://package, go://module, an image, or a local command after --'
  if (/^https?:/.test(text)) {
    return refuse('runtime-unsupported', `'${text}' cannot be run yet: it is a remote server`, hint)
  }
  return refuse('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${text}'`, hint)
}

function refuse(
  code: 'runtime-unsupported' | 'package-scheme-invalid' | 'invalid-argument',
  message: string,
  hint: string,
): never {
  throw new ThvError(code, message, { hint })
}
