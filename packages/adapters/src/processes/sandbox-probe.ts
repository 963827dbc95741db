import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf } from '@thv/core'
import { bubblewrapArguments, type User } from './bubblewrap.ts'
import { filterDescriptor, keyringFilter } from './keyring-filter.ts'
import { openOwnNetwork, type OwnNetwork } from './own-network.ts'
import { processLimits } from './process-limits.ts'

const execute = promisify(execFile)

/** Whether servers can be sandboxed here, and if not, why. */
export type SandboxSupport = { works: true; bubblewrap: string } | { works: false; reason: string; hint: string }

/** Where distributions put it. */
export const bubblewrapPath = '/usr/bin/bwrap'

/**
 * Starts bubblewrap once, with everything a server would get: a kernel or a security
 * module may forbid what an installed program promises. Never rejects.
 */
export async function probeSandbox(options: { platform?: string; bubblewrap?: string } = {}): Promise<SandboxSupport> {
  const bubblewrap = options.bubblewrap ?? bubblewrapPath
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
  let network: OwnNetwork | undefined
  try {
    await access(bubblewrap)
    network = await openOwnNetwork({ bubblewrap, user, holder: ['/bin/cat'] })
    const filtered = ['-c', filterScript, octal(keyringFilter()), ...network.enter([bubblewrap, ...inner])]
    await execute('/bin/sh', filtered, { timeout: processLimits.sandboxProbeMs, env: {} })
    return { works: true, bubblewrap }
  } catch (error) {
    return { works: false, ...explain(error) }
  } finally {
    await network?.close()
  }
}

/** Gives a command the filter without a file. Arguments: the filter in octal numbers, then the command. */
const filterScript = `printf %b "$0" | "$@" ${filterDescriptor}<&0 </dev/null`

function octal(bytes: Buffer): string {
  return [...bytes].map((byte) => `\\0${byte.toString(8)}`).join('')
}

/** Whoever runs this process. */
export function currentUser(): User {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
}

function explain(error: unknown): { reason: string; hint: string } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') {
    const hint = "install the package 'bubblewrap', for example with 'apt-get install bubblewrap'"
    return { reason: 'bubblewrap is not installed', hint }
  }
  const [said = ''] = (error instanceof Error && 'stderr' in error ? String(error.stderr) : '').trim().split('\n')
  // Not the message of a command that failed, which repeats its words.
  const isCommand = error instanceof Error && 'cmd' in error
  const silent = typeof code === 'number' ? `it ends with code ${code} and no word` : 'it does not answer'
  const hint = 'allow unprivileged user namespaces on this machine (sysctl, AppArmor, or the settings of the container)'
  const why = said !== '' ? said : isCommand ? silent : messageOf(error)
  return { reason: `bubblewrap does not work here: ${why.slice(0, 200)}`, hint }
}
