import { ThvError } from '../errors.ts'

/** One directory or file of this machine inside a server's file system. */
export interface Mount {
  /** Absolute path on this machine. */
  source: string
  /** Absolute path as the server sees it. */
  target: string
  writable: boolean
}

/** A `--volume` as written, `host:container[:ro]`; a relative host path is the caller's to resolve. */
export interface Volume {
  source: string
  target: string
  readOnly: boolean
}

/**
 * Parses a mount spec of a profile: `path` (the same inside), `host:container`, or
 * `scheme://resource:container`, which no runtime can mount yet. Throws `mount-invalid`.
 */
export function parseMount(spec: string): { source: string; target: string } {
  const resource = /^([a-z][a-z0-9+.-]*):\/\//i.exec(spec)
  if (resource !== null) {
    throw invalid(spec, `nothing can mount '${resource[1] ?? ''}' resources yet`, 'give a path of this machine')
  }
  const parts = splitSpec(spec)
  const [source = '', target = source] = parts
  if (parts.length > 2) throw invalid(spec, 'it has more than one colon', 'write /path or /host/path:/path/inside')
  return checked(spec, source, target)
}

/** Parses a `--volume`. Throws `mount-invalid`; whether the source exists is not looked at. */
export function parseVolume(text: string): Volume {
  const [source = '', target = '', mode, ...rest] = splitSpec(text)
  const form = 'write host-path:container-path or host-path:container-path:ro'
  if (target === '' || rest.length > 0) throw invalid(text, 'it is not host:container', form)
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') throw invalid(text, `'${mode}' is not 'ro'`, form)
  return { ...checked(text, source, target, true), readOnly: mode === 'ro' }
}

/** Keeps the colon of a Windows drive (`C:\data`) out of the way. */
function splitSpec(spec: string): string[] {
  return spec.split(/(?<!^[a-z]):(?![\\])|(?<=^[a-z]):(?![\\/])/i)
}

function checked(
  spec: string,
  source: string,
  target: string,
  mayBeRelative = false,
): { source: string; target: string } {
  const hint = 'write absolute paths'
  if (spec.includes('\0')) throw invalid(spec.replaceAll('\0', ' '), 'it has a NUL byte', hint)
  if (source === '' || target === '') throw invalid(spec, 'a path is empty', hint)
  if (!mayBeRelative && !isAbsolute(source)) throw invalid(spec, `'${source}' is not an absolute path`, hint)
  if (!target.startsWith('/') && !isAbsolute(target)) throw invalid(spec, `'${target}' is not an absolute path`, hint)
  if (target.split(/[\\/]/).includes('..')) throw invalid(spec, `'${target}' leads upwards`, hint)
  const plain = target.replace(/\/(?:\.?\/)+/g, '/').replace(/\/\.?$/, '')
  if (plain === '') throw invalid(spec, 'it covers the whole file system of the server', 'name a directory below /')
  if (/^\/(?:proc|sys|dev)(?:\/|$)/.test(plain))
    throw invalid(spec, `${plain} is the kernel's`, 'name another directory')
  return { source, target: plain }
}

function isAbsolute(path: string): boolean {
  return /^(?:\/|[a-z]:[\\/])/i.test(path)
}

function invalid(spec: string, why: string, hint: string): ThvError {
  return new ThvError('mount-invalid', `'${spec}' is not a mount: ${why}`, { hint })
}
