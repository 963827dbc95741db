import { expect, it } from 'vitest'
import { bubblewrapArguments, networkArguments, type SandboxPlan } from './bubblewrap.ts'
import { systemPaths } from './sandbox-layout.ts'

const plan: SandboxPlan = {
  command: ['/usr/bin/node', '/cache/npx/a@1.0.0/index.js'],
  workingDirectory: '/home/me',
  user: { uid: 1000, gid: 1000 },
  home: '/home/me',
  programPaths: ['/home/me/.nvm/versions/node/v22', '/cache/npx/a@1.0.0', '/cache/npx/a@1.0.0/node_modules'],
  mounts: [
    { source: '/home/me/data', target: '/data', writable: false },
    { source: '/home/me/out', target: '/out', writable: true },
  ],
  covered: [
    { target: '/data/.env', isDirectory: false },
    { target: '/data/vault', isDirectory: true },
  ],
  empty: { file: '/tmp/x/empty', directory: '/tmp/x/empty.d' },
  network: 'inherited',
}

it('the command line of a sandbox', () => {
  const args = bubblewrapArguments(plan)
  expect(args.slice(0, args.indexOf('--ro-bind')).join(' ')).toBe(
    '--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --uid 1000 --gid 1000 ' +
      '--die-with-parent --cap-drop ALL --seccomp 9',
  )
  const node = '/home/me/.nvm/versions/node/v22'
  expect(args.slice(args.indexOf('--proc')).join(' ')).toBe(
    '--proc /proc --dev /dev --tmpfs /tmp --symlink ../tmp /var/tmp --dir /run --tmpfs /home/me ' +
      `--ro-bind ${node} ${node} --ro-bind /cache/npx/a@1.0.0 /cache/npx/a@1.0.0 ` +
      '--ro-bind /home/me/data /data --bind /home/me/out /out ' +
      '--ro-bind /tmp/x/empty /data/.env --ro-bind /tmp/x/empty.d /data/vault ' +
      '--dir /home/me --remount-ro /proc --remount-ro / --chdir /home/me -- /usr/bin/node /cache/npx/a@1.0.0/index.js',
  )
})

it('shows no more of the system than programs need', () => {
  expect(systemPaths.needed).toEqual(['/usr'])
  expect(systemPaths.whereThere.filter((path) => !path.startsWith('/etc/')).join(' ')).toBe(
    '/bin /sbin /lib /lib32 /lib64 /libx32 /opt /nix/store /home/linuxbrew/.linuxbrew',
  )
  for (const secret of ['/etc/shadow', '/etc/ssh', '/etc/hostname', '/etc', '/etc/ssl', '/etc/pki', '/etc/pki/tls']) {
    expect(systemPaths.whereThere).not.toContain(secret)
  }
})

it('a network of its own is one flag, and a filtered one has its own resolver', () => {
  expect(bubblewrapArguments(plan)).not.toContain('--unshare-net')
  expect(bubblewrapArguments({ ...plan, network: 'own' })).toContain('--unshare-net')
  const filtered = bubblewrapArguments({ ...plan, resolvConf: '/tmp/x/resolv.conf' }).join(' ')
  expect(filtered).toContain('--ro-bind /tmp/x/resolv.conf /etc/resolv.conf')
  expect(filtered.indexOf('/tmp/x/resolv.conf')).toBeGreaterThan(filtered.indexOf('--ro-bind-try /etc/resolv.conf'))
})

it('the outer half gives one power, and another name to root', () => {
  const user = { uid: 1000, gid: 1000 }
  expect(networkArguments(user, ['x']).join(' ')).toBe(
    '--unshare-user --unshare-net --die-with-parent --cap-drop ALL --cap-add CAP_NET_BIND_SERVICE --dev-bind / / -- x',
  )
  expect(networkArguments({ uid: 0, gid: 0 }, ['x']).join(' ')).toContain('--uid 1 --gid 1')
})
