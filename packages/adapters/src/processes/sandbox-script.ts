import { processLimits } from './process-limits.ts'

const { sandboxMemoryBytes, sandboxProcesses } = processLimits

/**
 * The last step inside the sandbox: limits, then the server. The number of processes is
 * counted per user namespace, so it must be set in here; shells differ in its letter. It
 * does not bind root, for whom control groups do it. Variables that shells and
 * bubblewrap add by themselves are taken away again.
 */
export const limitScript = `
ulimit -c 0 2>/dev/null
ulimit -d ${sandboxMemoryBytes / 1024} 2>/dev/null
ulimit -u ${sandboxProcesses} 2>/dev/null || ulimit -p ${sandboxProcesses} 2>/dev/null
unset PWD OLDPWD SHLVL
exec "$@"
`

/** First in a network of its own: says its process id and which network that is, and becomes the holder. */
export const presenceScript = `
echo "$$ $(readlink /proc/self/ns/net)"
exec "$@"
`

/** Joins control groups before anything runs. Arguments: their number, their directories, then the command. */
export const joinScript = `
count=$1
shift
while [ $count -gt 0 ]; do
  echo $$ > "$1/cgroup.procs" || exit 1
  shift
  count=$((count - 1))
done
unset count
exec "$@"
`
