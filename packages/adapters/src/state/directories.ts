import { posix, win32 } from 'node:path'

/** Where thv keeps its files; each ends in `toolhive`. */
export interface Directories {
  config: string
  data: string
  state: string
  cache: string
}

/** What the directories depend on. */
export interface DirectoryInputs {
  platform: NodeJS.Platform
  home: string
  environment: Readonly<Record<string, string | undefined>>
}

/**
 * The directories of spec/local 0.1. The XDG variables win on every platform, macOS
 * and Windows included; relative values are ignored, as the XDG specification wants.
 */
export function resolveDirectories({ platform, home, environment }: DirectoryInputs): Directories {
  const path = platform === 'win32' ? win32 : posix
  const defaults = defaultBases(platform, home, environment)
  const locate = (variable: string, base: string): string => {
    const wanted = environment[variable]
    return path.join(wanted !== undefined && path.isAbsolute(wanted) ? wanted : base, 'toolhive')
  }
  return {
    config: locate('XDG_CONFIG_HOME', defaults.config),
    data: locate('XDG_DATA_HOME', defaults.data),
    state: locate('XDG_STATE_HOME', defaults.state),
    cache: locate('XDG_CACHE_HOME', defaults.cache),
  }
}

function defaultBases(
  platform: NodeJS.Platform,
  home: string,
  environment: Readonly<Record<string, string | undefined>>,
): Directories {
  if (platform === 'win32') {
    const wanted = environment['LOCALAPPDATA']
    const local = wanted !== undefined && win32.isAbsolute(wanted) ? wanted : win32.join(home, 'AppData', 'Local')
    return { config: local, data: local, state: local, cache: win32.join(local, 'cache') }
  }
  if (platform === 'darwin') {
    const support = posix.join(home, 'Library', 'Application Support')
    return { config: support, data: support, state: support, cache: posix.join(home, 'Library', 'Caches') }
  }
  return {
    config: posix.join(home, '.config'),
    data: posix.join(home, '.local', 'share'),
    state: posix.join(home, '.local', 'state'),
    cache: posix.join(home, '.cache'),
  }
}
