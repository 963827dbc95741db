import { isPackageArgument } from '../domain/package-source.ts'
import { isRemoteUrl } from '../domain/remote-url.ts'
import { ThvError } from '../errors.ts'

/** What a user calls a server: a URL, a package by its scheme, or else an image. Throws for any other scheme. */
export function parseServerArgument(
  text: string,
): { source: string } | { image: string } | { remote: { url: string } } {
  if (isPackageArgument(text)) return { source: text }
  if (isRemoteUrl(text)) return { remote: { url: text } }
  if (!/^[a-z][a-z0-9+.-]*:\/\//.test(text)) return { image: text }
  throw new ThvError('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${text}'`, {
    hint: 'use https://host/path, npx://package, uvx://package, go://module, an image, or a local command after --',
  })
}
