/** What a server's environment is made from. */
export interface ServerEnvironmentInput {
  platform: NodeJS.Platform
  home: string
  user: string
  /** Directory of the Node that runs thv, so that scripts find `node`. */
  nodeDirectory: string
  /** `PATH` for the server; default: the Node directory and the system's. */
  searchPath?: string
  tmpdir: string
  /** Windows' `SystemRoot`; default `C:\Windows`. */
  systemRoot?: string
  /** Variables of this server; they win. */
  extra: Readonly<Record<string, string>>
}

/**
 * The whole environment of a server: what programs cannot do without, and what this
 * server was given. Nothing of thv's own environment gets in, where keys and tokens
 * of the user may stand. Pure.
 */
export function buildServerEnvironment(input: ServerEnvironmentInput): Record<string, string> {
  const base = input.platform === 'win32' ? windowsEnvironment(input) : posixEnvironment(input)
  return { ...base, ...input.extra }
}

function posixEnvironment(input: ServerEnvironmentInput): Record<string, string> {
  const system = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']
  // Homebrew's directory on Apple processors is on no system path.
  const more = input.platform === 'darwin' ? ['/opt/homebrew/bin'] : []
  const directories = [...new Set([input.nodeDirectory, ...more, ...system])]
  return {
    PATH: input.searchPath ?? directories.join(':'),
    HOME: input.home,
    USER: input.user,
    LOGNAME: input.user,
    // macOS knows no C.UTF-8.
    LANG: input.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8',
    TMPDIR: input.tmpdir,
  }
}

function windowsEnvironment(input: ServerEnvironmentInput): Record<string, string> {
  const root = input.systemRoot ?? 'C:\\Windows'
  const directories = [input.nodeDirectory, `${root}\\System32`, root, `${root}\\System32\\WindowsPowerShell\\v1.0`]
  return {
    PATH: input.searchPath ?? directories.join(';'),
    PATHEXT: '.COM;.EXE;.BAT;.CMD',
    SystemRoot: root,
    SystemDrive: root.slice(0, 2),
    windir: root,
    ComSpec: `${root}\\System32\\cmd.exe`,
    USERPROFILE: input.home,
    USERNAME: input.user,
    HOME: input.home,
    APPDATA: `${input.home}\\AppData\\Roaming`,
    LOCALAPPDATA: `${input.home}\\AppData\\Local`,
    TEMP: input.tmpdir,
    TMP: input.tmpdir,
  }
}
