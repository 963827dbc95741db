import { filterDescriptor } from './keyring-filter.ts'
import { processLimits } from './process-limits.ts'

const { sandboxMemoryBytes, sandboxProcesses } = processLimits

/**
 * The last step inside the sandbox: limits, then the server. The number of processes is
 * counted per user namespace, so it must be set in here; shells differ in its letter. It
 * does not bind root, for whom control groups do it. Variables that shells and
 * bubblewrap add by themselves are taken away again, and those that were renamed by
 * {@link carryEnvironment} get their names back.
 */
export function limitScript(environment: Readonly<Record<string, string>>): string {
  const carried = Object.keys(environment).filter((name) => isObeyed(name))
  return `
ulimit -c 0 2>/dev/null
ulimit -d ${sandboxMemoryBytes / 1024} 2>/dev/null
ulimit -u ${sandboxProcesses} 2>/dev/null || ulimit -p ${sandboxProcesses} 2>/dev/null
unset PWD OLDPWD SHLVL
${carried.map((name) => `export ${name}="$${carriedName(name)}"; unset ${carriedName(name)}`).join('\n')}
exec "$@"
`
}

/**
 * The environment for all that runs outside before the server does. Variables that a loader
 * or a shell obeys have other names there, until {@link limitScript}: a server could write
 * to a directory that one of them names, and its next start would run that outside.
 */
export function carryEnvironment(environment: Readonly<Record<string, string>>): Record<string, string> {
  const renamed = Object.entries(environment).map(([name, value]) => [isObeyed(name) ? carriedName(name) : name, value])
  return { ...Object.fromEntries(renamed), PATH: '/usr/bin:/bin:/usr/sbin:/sbin' }
}

function isObeyed(name: string): boolean {
  return /^(?:PATH|LD_\w+|GCONV_PATH|ENV|BASH_ENV|PS4)$/.test(name)
}

function carriedName(name: string): string {
  return `server_${name}`
}

/** First in a network of its own: says its process id and which network that is, and becomes the holder. */
export const presenceScript = `
echo "$$ $(readlink /proc/self/ns/net)"
exec "$@"
`

/**
 * Joins control groups before anything runs, and opens the filter for bubblewrap. Arguments:
 * the filter, the number of groups, their directories, then the command.
 */
export const joinScript = `
filter=$1 count=$2
shift 2
while [ $count -gt 0 ]; do
  echo $$ > "$1/cgroup.procs" || exit 1
  shift
  count=$((count - 1))
done
unset count
exec "$@" ${filterDescriptor}<"$filter"
`
