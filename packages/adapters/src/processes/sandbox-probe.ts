import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { bubblewrapArguments, networkArguments, type User } from './bubblewrap.ts'
import { filterDescriptor, keyringFilter } from './keyring-filter.ts'
import { processLimits } from './process-limits.ts'

const execute = promisify(execFile)

/** Whether servers can be sandboxed here, and if not, why. */
export type SandboxSupport = { works: true; bubblewrap: string } | { works: false; reason: string; hint: string }

/**
 * Starts bubblewrap once, with everything a server would get: a kernel or a security
 * module may forbid what an installed program promises. Never rejects.
 */
export async function probeSandbox(options: { platform?: string; bubblewrap?: string } = {}): Promise<SandboxSupport> {
  const bubblewrap = options.bubblewrap ?? '/usr/bin/bwrap'
  const { platform = process.platform } = options
  if (platform !== 'linux') {
    return { works: false, reason: `there is no sandbox for ${platform} yet`, hint: 'run only servers you trust' }
  }
  const user = currentUser()
  const inner = bubblewrapArguments({
    user,
    command: ['/bin/true'],
    workingDirectory: '/',
    home: '/tmp',
    programPaths: [],
    mounts: [],
    covered: [],
    empty: { file: '/dev/null', directory: '/' },
    network: 'own',
  })
  try {
    const outer = networkArguments(user, [...withoutPowers, bubblewrap, ...inner])
    const filtered = ['-c', filterScript, octal(keyringFilter()), bubblewrap, ...outer]
    await execute('/bin/sh', filtered, { timeout: processLimits.sandboxProbeMs, env: {} })
    return { works: true, bubblewrap }
  } catch (error) {
    return { works: false, ...explain(error) }
  }
}

/** Gives a command the filter without a file. Arguments: the filter in octal numbers, then the command. */
const filterScript = `command -v "$1" >/dev/null || exit 127
printf %b "$0" | "$@" ${filterDescriptor}<&0 </dev/null`

function octal(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\0${byte.toString(8)}`).join('')
}

/** Whoever runs this process. */
export function currentUser(): User {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
}

/** Bubblewrap refuses to start with powers it did not ask for. */
export const withoutPowers = ['/usr/bin/setpriv', '--ambient-caps=-all', '--inh-caps=-all', '--'] as const

function explain(error: unknown): { reason: string; hint: string } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 127) {
    const hint = "install the package 'bubblewrap', for example with 'apt-get install bubblewrap'"
    return { reason: 'bubblewrap is not installed', hint }
  }
  // Not the error's message, which repeats the command line.
  const [said = ''] = (error instanceof Error && 'stderr' in error ? String(error.stderr) : '').trim().split('\n')
  const silent = typeof code === 'number' ? `it ends with code ${code} and no word` : 'it does not answer'
  const hint = 'allow unprivileged user namespaces on this machine (sysctl, AppArmor, or the settings of the container)'
  return { reason: `bubblewrap does not work here: ${said === '' ? silent : said.slice(0, 200)}`, hint }
}
