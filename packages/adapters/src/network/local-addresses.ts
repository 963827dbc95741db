import { networkInterfaces } from 'node:os'

/** The addresses of this machine as one text, which changes when it moves to another network. Link-local ones are left out. */
export function localAddresses(): string {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  return addresses
    .map(({ address }) => address)
    .sort()
    .join(' ')
}
