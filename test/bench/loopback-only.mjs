// Preloaded into a peer that has no option for its listen address and would open itself to the whole network.

import { Server } from 'node:net'

const { listen } = Server.prototype

Server.prototype.listen = function listenOnLoopback(port, ...rest) {
  const isBarePort = typeof port === 'number' && typeof rest[0] !== 'string'
  return isBarePort ? listen.call(this, port, '127.0.0.1', ...rest) : listen.call(this, port, ...rest)
}
