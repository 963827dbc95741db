import { isPackageArgument, localPathOf } from '../domain/package-source.ts'
import { isRemoteUrl } from '../domain/remote-url.ts'
import { ThvError } from '../errors.ts'

/**
 * What a user calls a server: a URL, a package by its scheme, source code by its path, or else an image. `resolvePath`
 * makes a path absolute that is relative to where the user is; without it such a path is refused. Throws for any other
 * scheme.
 */
export function parseServerArgument(
  text: string,
  resolvePath?: (path: string) => string,
): { source: string } | { image: string } | { remote: { url: string } } {
  const path = localPathOf(text)
  if (path !== undefined) {
    if (resolvePath !== undefined) return { source: `go://${resolvePath(path)}` }
    if (path.startsWith('/')) return { source: text }
    throw new ThvError('invalid-argument', `'${text}' is relative to nothing here`, {
      hint: 'write go:// and an absolute path',
    })
  }
  if (isPackageArgument(text)) return { source: text }
  if (isRemoteUrl(text)) return { remote: { url: text } }
  if (!/^[a-z][a-z0-9+.-]*:\/\//.test(text)) return { image: text }
  throw new ThvError('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${text}'`, {
    hint: 'use https://host/path, npx://package, uvx://package, go://module, an image, or a local command after --',
  })
}
