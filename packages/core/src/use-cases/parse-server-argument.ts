import { isPackageArgument } from '../domain/package-source.ts'
import { ThvError } from '../errors.ts'

/** What a user calls a server: a package by its scheme, or else an image. Throws for any other scheme. */
export function parseServerArgument(text: string): { source: string } | { image: string } {
  if (isPackageArgument(text)) return { source: text }
  if (!/^[a-z][a-z0-9+.-]*:\/\//.test(text)) return { image: text }
  const hint = 'use npx://package, uvx://package, go://module, an image, or a local command after --'
  if (/^https?:/.test(text)) {
    return refuse('runtime-unsupported', `'${text}' cannot be run yet: it is a remote server`, hint)
  }
  return refuse('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${text}'`, hint)
}

function refuse(code: 'runtime-unsupported' | 'package-scheme-invalid', message: string, hint: string): never {
  throw new ThvError(code, message, { hint })
}
