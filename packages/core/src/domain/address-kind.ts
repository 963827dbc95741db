/** Whose an address is, seen from this machine. */
export type AddressKind = 'public' | 'loopback' | 'link-local' | 'private' | 'special'

/** Sorts an IPv4 or IPv6 address. What is no address, or is written in a way that others may read differently, is `special`. */
export function addressKind(address: string): AddressKind {
  const four = parseIpv4(address)
  if (four !== undefined) return ipv4Kind(four)
  const six = parseIpv6(address)
  return six === undefined ? 'special' : ipv6Kind(six)
}

/** One spelling for all spellings of an address, so that addresses can be compared; what is no address stays. */
export function canonicalAddress(address: string): string {
  const groups = parseIpv6(address)
  const four = parseIpv4(address) ?? (groups === undefined ? undefined : embeddedIpv4(groups))
  return four?.join('.') ?? groups?.map((group) => group.toString(16)).join(':') ?? address
}

function ipv4Kind([a = 0, b = 0, c = 0]: readonly number[]): AddressKind {
  if (a === 127) return 'loopback'
  if (a === 169 && b === 254) return 'link-local'
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return 'private'
  // RFC 6598: between a provider and its customers, and what overlay networks use.
  if (a === 100 && b >= 64 && b <= 127) return 'private'
  // "This network" reaches the machine itself on Linux; 192.0.0/24 and 198.18/15 are for protocols and tests.
  if (a === 0) return 'loopback'
  if (a >= 224 || (a === 192 && b === 0 && c === 0) || (a === 198 && (b === 18 || b === 19))) return 'special'
  return 'public'
}

function ipv6Kind(groups: readonly number[]): AddressKind {
  const embedded = embeddedIpv4(groups)
  if (embedded !== undefined) return ipv4Kind(embedded)
  const [first = 0] = groups
  if (groups.slice(0, 7).every((group) => group === 0)) return 'loopback'
  if ((first & 0xffc0) === 0xfe80) return 'link-local'
  // Unique local, and the site-local addresses that came before.
  if ((first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfec0) return 'private'
  return (first & 0xe000) === 0x2000 ? 'public' : 'special'
}

/** The IPv4 address that the network would use: mapped, compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056). */
function embeddedIpv4(groups: readonly number[]): number[] | undefined {
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups
  const firstFiveZero = groups.slice(0, 5).every((group) => group === 0)
  const isMapped = firstFiveZero && (g5 === 0xffff || (g5 === 0 && g6 !== 0))
  const isNat64 = g0 === 0x64 && g1 === 0xff9b && [g2, g3, g4, g5].every((group) => group === 0)
  if (isMapped || isNat64) return [g6 >> 8, g6 & 255, g7 >> 8, g7 & 255]
  return g0 === 0x2002 ? [g1 >> 8, g1 & 255, g2 >> 8, g2 & 255] : undefined
}

function parseIpv4(text: string): number[] | undefined {
  // A leading zero means octal to some: RFC 6943 3.1.1.
  const parts = /^(\d|[1-9]\d{1,2})\.(\d|[1-9]\d{1,2})\.(\d|[1-9]\d{1,2})\.(\d|[1-9]\d{1,2})$/.exec(text)
  const numbers = parts?.slice(1).map(Number)
  return numbers?.every((number) => number <= 255) === true ? numbers : undefined
}

function parseIpv6(text: string): number[] | undefined {
  const whole = text.replace(/%.*$/, '').replace(/[\d.]+$/, (tail) => {
    const four = tail.includes('.') ? parseIpv4(tail) : undefined
    if (four === undefined) return tail
    const [a = 0, b = 0, c = 0, d = 0] = four
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const halves = whole.split('::')
  if (halves.length > 2) return undefined
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? groups.map((group) => parseInt(group, 16))
    : undefined
}
