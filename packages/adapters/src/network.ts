// A second entry: what listens and dials loads parts of Node that most commands never need.
export { openEgressProxy, type EgressAttempt, type EgressProxyOptions } from './network/egress-proxy.ts'
export { createEgressRecord, type EgressRecord } from './network/egress-record.ts'
export { openInboundListener } from './network/inbound-listener.ts'
export { readUpstreamProxy } from './network/upstream-proxy.ts'
export { createRemoteDialer } from './network/remote-dialer.ts'
export { localAddresses } from './network/local-addresses.ts'
export { openLoginCallback } from './network/login-callback.ts'
