/** Bounds of one reading of addresses. */
export interface AddressLimits {
  /** Of the whole text. */
  readonly octets: number
  readonly addresses: number
  /** Words of one name. */
  readonly words: number
  readonly commentDepth: number
  readonly localOctets: number
}

/**
 * Far beyond real mail. RFC 5321 wants 64 octets for a local part and asks for no limit where there need be none; the
 * return addresses of mailing services do have more.
 */
export const addressLimits: AddressLimits = {
  octets: 256 * 1024,
  addresses: 5000,
  words: 1000,
  commentDepth: 50,
  localOctets: 256,
}
