import { isContainer, type ServerIdentity } from '@thv/core'

/** How a log line names a server: the pid of a process, the short id of a container. */
export function logFieldsOf(server: ServerIdentity): Record<string, unknown> {
  return isContainer(server) ? { container: server.container.slice(0, 12) } : { pid: server.pid }
}
