/**
 * Addresses: one parser for the envelope, header fields and settings, which gives an answer or a refusal, never a guess.
 *
 *     const author = fromOf(readHeaderSection(bodyPath))
 *     if (author.ok && author.mailbox.address.domain === 'example.org') ...
 */
export { canonical, envelopeAddress, needsUtf8 } from './addresses/address.ts'
export { formatAddress } from './addresses/format.ts'
export { fromOf, headerAddresses } from './addresses/header-addresses.ts'
export { addressLimits } from './addresses/limits.ts'
export { parseAddressList } from './addresses/list.ts'
export { domainOf, identityOf, parseAddress, sameAddress } from './addresses/single.ts'

export type { Address } from './addresses/address.ts'
export type { Addressee } from './addresses/format.ts'
export type { AddressFields, Author, AuthorFault, FieldRefusal } from './addresses/header-addresses.ts'
export type { AddressLimits } from './addresses/limits.ts'
export type { AddressList, Group, Mailbox } from './addresses/list.ts'
export type { Refusal, RefusalReason, RefusalWeight } from './addresses/refusal.ts'
export type { AddressOptions, AddressResult, SameAddressOptions } from './addresses/single.ts'
