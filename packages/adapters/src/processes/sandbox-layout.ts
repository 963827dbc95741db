/**
 * What of the system a sandboxed server sees, read-only. Of `/etc` only what programs
 * need to run, to name users and to reach the network: the rest is this machine's business.
 */
export const systemPaths = {
  needed: ['/usr'],
  whereThere: [
    ...'/bin /sbin /lib /lib32 /lib64 /libx32 /opt /nix/store /home/linuxbrew/.linuxbrew'.split(' '),
    ...['alternatives', 'ca-certificates', 'ca-certificates.conf', 'fonts', 'gai.conf', 'group', 'host.conf'].map(etc),
    ...['hosts', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'localtime', 'mime.types', 'nsswitch.conf'].map(etc),
    ...['os-release', 'passwd', 'protocols', 'resolv.conf', 'services', 'timezone'].map(etc),
    // Not `ssl` and `pki` as a whole: beside them stand private keys, which root may read.
    ...['ssl/cert.pem', 'ssl/certs', 'ssl/openssl.cnf', 'pki/ca-trust', 'pki/tls/cert.pem'].map(etc),
    ...['pki/tls/certs', 'pki/tls/openssl.cnf'].map(etc),
  ],
} as const

function etc(name: string): string {
  return `/etc/${name}`
}

/** Whether the sandbox shows a path anyhow. */
export function isSystemPath(path: string): boolean {
  return [...systemPaths.needed, ...systemPaths.whereThere].some((system) => isWithin(path, system))
}

/** Whether a path is a directory or lies below it. Both absolute, without `..`. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}
