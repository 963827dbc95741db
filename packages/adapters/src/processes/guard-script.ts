import { markerVariable } from './marker.ts'
import { processLimits } from './process-limits.ts'

/**
 * What keeps the promise that a server dies with its supervisor: a shell in a
 * session of its own that blocks on a pipe whose other end only the supervisor
 * holds. However the supervisor dies, the kernel closes that end.
 *
 * Input, line by line:
 *   marker, number of words of the reaper's command, each word
 *   `<group> <started>`  the server exists; answered by `ready`
 *   `done`               the tree is gone, leave without killing
 *   end of file          the supervisor is dead: kill the tree
 *
 * At the end of file the group is stopped first: stopped processes neither fork nor
 * exit, so parent links stay true until the reaper has looked. When there is no Node
 * any more or it fails, the group is killed by number, and everyone else by marker
 * where /proc shows environments.
 *
 * Nothing comes by arguments, and nothing in the command line says `thv`: otherwise a
 * `pkill -9 -f thv` would kill supervisor and guard together and leave the server.
 *
 * The guard is outside the server's group, so a server that kills or stops its own
 * group does not take its guard along.
 */
export const guardScript = `
trap '' HUP INT QUIT TERM PIPE TSTP TTIN TTOU
read -r marker && read -r count || exit 0
while [ $count -gt 0 ]; do
  IFS= read -r part || exit 0
  set -- "$@" "$part"
  count=$((count - 1))
done
read -r group started || exit 0
echo ready
read -r word
[ "$word" = done ] && exit 0
kill -STOP "-$group" 2>/dev/null
"$@" "$marker" "$group" "$started" </dev/null >/dev/null 2>&1 &
reaper=$!
turn=0
while [ $turn -lt ${processLimits.reaperTenths} ] && kill -0 $reaper 2>/dev/null; do
  sleep 0.1
  turn=$((turn + 1))
done
kill -KILL $reaper 2>/dev/null
wait $reaper 2>/dev/null && exit 0
kill -KILL "-$group" 2>/dev/null
if [ -r /proc/self/environ ]; then
  for file in $(grep -lsaF "${markerVariable}=$marker" /proc/[0-9]*/environ 2>/dev/null); do
    pid=\${file#/proc/}
    kill -KILL "\${pid%/environ}" 2>/dev/null
  done
fi
exit 1
`

/** Busybox has a `setpriv` without this option, hence the trial before it is used. */
const parentDeath = '/usr/bin/setpriv --pdeathsig KILL'

/**
 * What becomes the server. It waits for one line, sent only when the guard has
 * said that it watches: if the supervisor dies before, this reads end of file and
 * no server ever existed.
 *
 * What thv opens itself is never inherited; descriptors that its own caller left open are
 * nothing by now (`inherited-descriptors.ts`), and closed as far as a shell can name them.
 *
 * Where the system's `setpriv` knows it (util-linux on Linux), the kernel is asked to
 * kill the server at the death of its parent: a second wall for the case that
 * supervisor and guard are killed in the same instant.
 *
 * POSIX lets `read` take no byte beyond the line, so the server's input is untouched.
 * Variables that a shell adds by itself are removed again, unless the server was given them.
 */
export function serverScript(environment: Readonly<Record<string, string>>): string {
  const added = ['PWD', 'OLDPWD', 'SHLVL'].filter((name) => environment[name] === undefined)
  return `
read -r thv_word && [ "$thv_word" = go ] || exit 1
unset thv_word ${added.join(' ')}
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
if ${parentDeath} /bin/sh -c : 2>/dev/null; then
  exec ${parentDeath} "$@"
fi
exec "$@"
`
}
