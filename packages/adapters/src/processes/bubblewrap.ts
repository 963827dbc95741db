import type { Mount } from '@thv/core'
import { filterDescriptor } from './keyring-filter.ts'
import { isWithin, systemPaths } from './sandbox-layout.ts'

/** Numbers of a user and its group. */
export interface User {
  uid: number
  gid: number
}

/** Everything the command line of bubblewrap says about one server. Paths are absolute and exist. */
export interface SandboxPlan {
  /** What runs inside. */
  command: readonly string[]
  workingDirectory: string
  /** Who the server is, inside as outside. */
  user: User
  /** The user's home: empty inside. */
  home: string
  /** Readable inside under the same path. */
  programPaths: readonly string[]
  mounts: readonly Mount[]
  /** Covered by the empty file or directory. */
  covered: readonly { target: string; isDirectory: boolean }[]
  empty: { file: string; directory: string }
  /** `own`: a network of its own with nothing in it; `inherited`: that of whoever starts it. */
  network: 'own' | 'inherited'
  /** Lies in the place of `/etc/resolv.conf`. */
  resolvConf?: string
}

/**
 * The arguments after `bwrap`. Pure.
 *
 * Namespaces of its own for users, processes, IPC, host name and control groups; no
 * capabilities, also for root; the root is new and empty, and only what is bound into
 * it exists. No `--new-session`: the server has no terminal it could write to, because
 * whoever starts it leads a session without one.
 */
export function bubblewrapArguments(plan: SandboxPlan): string[] {
  const resolver = plan.resolvConf === undefined ? [] : bind('--ro-bind', plan.resolvConf, '/etc/resolv.conf')
  return [
    ...namespaces,
    '--uid',
    String(plan.user.uid),
    '--gid',
    String(plan.user.gid),
    ...(plan.network === 'own' ? ['--unshare-net'] : []),
    ...leash,
    ...systemPaths.needed.flatMap((path) => bind('--ro-bind', path, path)),
    ...systemPaths.whereThere.flatMap((path) => bind('--ro-bind-try', path, path)),
    ...resolver,
    ...fresh,
    '--tmpfs',
    plan.home,
    ...outermost(plan.programPaths).flatMap((path) => bind('--ro-bind', path, path)),
    ...plan.mounts.flatMap(({ source, target, writable }) => bind(writable ? '--bind' : '--ro-bind', source, target)),
    ...plan.covered.flatMap(({ target, isDirectory }) =>
      bind('--ro-bind', isDirectory ? plan.empty.directory : plan.empty.file, target),
    ),
    // One that is not shown, because it holds more than the program, is empty.
    '--dir',
    plan.workingDirectory,
    ...sealed,
    '--chdir',
    plan.workingDirectory,
    '--',
    ...plan.command,
  ]
}

const namespaces = '--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try'.split(' ')

/** Ends with whoever started it, and has no power over anything and no keys of it, whoever that was. */
const leash = `--die-with-parent --cap-drop ALL --seccomp ${filterDescriptor}`.split(' ')

/** Made for this server. */
const fresh = '--proc /proc --dev /dev --tmpfs /tmp --symlink ../tmp /var/tmp --dir /run'.split(' ')

/**
 * The root itself, which holds the rest of /etc and the way to each mount. And /proc: its
 * settings of the kernel belong to root, and root stays root to them in any namespace.
 */
const sealed = '--remount-ro /proc --remount-ro /'.split(' ')

/**
 * The arguments after `bwrap` for the outer half of a filtered server: a network of its
 * own around the forwarder and the sandbox. The forwarder may bind low ports there, and
 * nothing else has any power over that network. Root is called something else in
 * between, because the kernel lets nobody hand the name of root on without a power more.
 */
export function networkArguments(user: User, command: readonly string[]): string[] {
  const between = user.uid === 0 ? ['--uid', '1', '--gid', '1'] : []
  const powers = ['--cap-drop', 'ALL', '--cap-add', 'CAP_NET_BIND_SERVICE']
  const namespaces = ['--unshare-user', '--unshare-net', '--die-with-parent']
  return [...namespaces, ...between, ...powers, '--dev-bind', '/', '/', '--', ...command]
}

function bind(kind: string, source: string, target: string): string[] {
  return [kind, source, target]
}

/** Without what lies below another one: a second bind would only hide the first. */
function outermost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths)]
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(path, other)))
}
