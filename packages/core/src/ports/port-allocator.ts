/** Finds and checks TCP ports on this machine. */
export interface PortAllocator {
  /** Whether a server could listen there now. */
  isFree(port: number, host: string): Promise<boolean>
  /** A free port: ten random tries in [10000, 32768), then a scan from 10000 to 65534 (spec/local 3.4). `port-in-use` when none is. */
  findFree(host: string): Promise<number>
}
