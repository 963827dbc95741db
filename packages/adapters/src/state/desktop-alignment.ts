import { win32 } from 'node:path'
import { ThvError } from '@thv/core'
import { isJsonObject, parseJsonObject, type JsonObject } from './parse-state-json.ts'

/** What the check needs; the file functions are parameters so that it can be tested on every platform. */
export interface DesktopAlignmentInputs {
  home: string
  platform: NodeJS.Platform
  /** `%LOCALAPPDATA%`, on Windows. */
  localAppData: string | undefined
  /** The launcher that the user called, not `node`. */
  runningExecutable: string
  readFile: (path: string) => Promise<string>
  /** Follows links; rejects when nothing is there. */
  realpath: (path: string) => Promise<string>
}

/** Two programs that both want to be `thv`: the one of ToolHive Desktop and this one. */
export interface DesktopConflict {
  target: string
  running: string
}

/**
 * Whether ToolHive Desktop manages another `thv` than the one that runs (spec/local
 * 0.6). Undefined when all is well, also when the marker is missing, broken or of
 * another version. Never rejects.
 */
export async function checkDesktopAlignment(inputs: DesktopAlignmentInputs): Promise<DesktopConflict | undefined> {
  const separator = inputs.platform === 'win32' ? '\\' : '/'
  const marker = await inputs
    .readFile([inputs.home, '.toolhive', '.cli-source'].join(separator))
    .then(parseJsonObject)
    .catch(() => undefined)
  const wanted = isJsonObject(marker) ? targetOf(marker, inputs) : undefined
  if (wanted === undefined) return undefined
  const target = await inputs.realpath(wanted).catch(() => undefined)
  if (target === undefined) return undefined
  const running = await inputs.realpath(inputs.runningExecutable).catch(() => inputs.runningExecutable)
  return isSamePath(target, running, inputs.platform) ? undefined : { target, running }
}

/** The refusal that every command ends with on a conflict. Tools match on its beginning. */
export function desktopConflictError(conflict: DesktopConflict): ThvError {
  return new ThvError(
    'cli-conflict',
    `CLI conflict detected: ToolHive Desktop manages '${conflict.target}', but '${conflict.running}' was called`,
    {
      hint:
        'put ~/.toolhive/bin first in PATH to use the one of ToolHive Desktop, ' +
        'or set TOOLHIVE_SKIP_DESKTOP_CHECK=1 to use this one',
    },
  )
}

function targetOf(marker: JsonObject, inputs: DesktopAlignmentInputs): string | undefined {
  if (marker['schema_version'] !== 1 || marker['source'] !== 'desktop') return undefined
  switch (marker['install_method']) {
    case 'symlink':
      return pathOf(marker['symlink_target'])
    case 'flatpak':
      return pathOf(marker['flatpak_target'])
    case 'copy': {
      const base = pathOf(inputs.localAppData)
      return inputs.platform === 'win32' && base !== undefined
        ? win32.join(base, 'ToolHive', 'bin', 'thv.exe')
        : undefined
    }
    default:
      return undefined
  }
}

function pathOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isSamePath(a: string, b: string, platform: NodeJS.Platform): boolean {
  return platform === 'win32' ? a.toLowerCase() === b.toLowerCase() : a === b
}
