/**
 * The library for filter authors, and the only file of it that filters import.
 *
 *     import { getAuthUser, accept, pass } from 'nodefilter/courier-compat'
 */
export {
  canonicalDomain,
  defaultdomain,
  dsnfrom,
  esmtphelo,
  getAlias,
  getBlockVal,
  getSmtpaccessVal,
  hostedDomain,
  isHosteddomain,
  isLocal,
  isMinVersion,
  isRelayed,
  isWhiteblocked,
  locallowercase,
  me,
  openCourierConfig,
  smtpaccess,
  sysconfdir,
} from './config.ts'
export {
  addRecipient,
  addRecipientData,
  changeRecipients,
  completeRecipient,
  delRecipient,
  delRecipientData,
  getAuthUser,
  getControlData,
  getLines,
  getRecipients,
  getRecipientsData,
  getSender,
  getSendersIp,
  getSendersMta,
  readControl,
  readRecipients,
} from './control.ts'
export {
  addressLimits,
  canonical,
  domainOf,
  envelopeAddress,
  formatAddress,
  fromOf,
  headerAddresses,
  identityOf,
  needsUtf8,
  parseAddress,
  parseAddressList,
  sameAddress,
} from './addresses.ts'
export { AuthdaemonError, getUserInfo, openAuthdaemon } from './authdaemon.ts'
export { EditRefused } from './message-edit/refusal.ts'
export { decodedValue, decodeWords } from './message/encoded-words.ts'
export { extensionOf, extensionsOf } from './message/file-names.ts'
export { findingKinds } from './message/findings.ts'
export { htmlText, readableText } from './message/readable-text.ts'
export { readingLimits } from './message/limits.ts'
export { readMessageBytes } from './message/reader.ts'
export { loadQuarantineSettings, openQuarantine } from './quarantine.ts'
export { readHeaderSection, readMessage } from './shared-reading.ts'
export { fieldsNamed, parseHeaderSection } from './header/section.ts'
export { applyModuleConfig, getModuleConfig } from './module-config/module-values.ts'
export { ModuleConfigError } from './module-config/problem.ts'
export { accept, defer, pass, reject } from './reply.ts'
export { maxSendmailRecipients, sendmail, SendmailError } from './sendmail.ts'
export { openTtlDb } from './ttldb.ts'
export { DummyXFilter, InitError, parseMessage, XFilter } from './xfilter.ts'

export type {
  Address,
  Addressee,
  AddressFields,
  AddressLimits,
  AddressList,
  AddressOptions,
  AddressResult,
  Author,
  AuthorFault,
  FieldRefusal,
  Group,
  Mailbox,
  Refusal,
  RefusalReason,
  RefusalWeight,
  SameAddressOptions,
} from './addresses.ts'
export type { Account, Authdaemon, AuthdaemonOptions, AuthdaemonPhase, QuestionOptions } from './authdaemon.ts'
export type { CourierConfig, CourierConfigOptions } from './config.ts'
export type {
  ControlData,
  ControlFacts,
  ControlRecipient,
  RecipientBytes,
  RecipientChange,
  RecipientData,
} from './control.ts'
export type {
  Client,
  CloseFilter,
  DoFilter,
  Edits,
  Envelope,
  FilterContext,
  FilterLog,
  FilterMessage,
  FilterModule,
  FilterReply,
  FilterSetup,
  InitFilter,
  OnError,
  Recipient,
} from './filter.ts'
export type { HeaderEdit, NewValue, ValueOptions } from './header/edit.ts'
export type { HeaderField, HeaderLimits, HeaderLine, HeaderSection } from './header/section.ts'
export type { ContentStream, NewContent, NewEncoding, NewPart } from './message-edit/new-part.ts'
export type { TextOptions, WrapOptions } from './message-edit/part-edits.ts'
export type { RefusalReason as EditRefusalReason } from './message-edit/refusal.ts'
export type { DecodedText } from './message/content-types.ts'
export type { Finding, FindingKind, Weight } from './message/findings.ts'
export type { ReadableTextOptions } from './message/readable-text.ts'
export type { ReadOptions } from './message/reader.ts'
export type {
  MessageReading,
  OctetFacts,
  Part,
  PartText,
  Range,
  ReadingLimits,
  TransferEncoding,
} from './message/reading.ts'
export type { ModuleValue } from './module-config/module-values.ts'
export type { ModuleProblem } from './module-config/problem.ts'
export type {
  Kept,
  KeepOrder,
  ListedEntry,
  Listing,
  MailRelease,
  MailRequest,
  Purged,
  PurgeOrder,
  Quarantine,
  QuarantineOptions,
  QuarantineSettings,
  Released,
  ReleaseOrder,
  Submit,
} from './quarantine.ts'
export type { Reply, Verdict } from './reply.ts'
export type { DsnRequest, MessageSource, Submission, SubmissionEnvelope } from './sendmail.ts'
export type { SettingSchema, SettingSchemas, SettingTable, SettingValue } from './setting.ts'
export type { SettingsOf } from './setting/value.ts'
export type {
  FilterQueue,
  FilterTtlMap,
  FilterTtlMaps,
  FilterTtlOptions,
  MessageStores,
  QueueAddition,
  SetupStores,
} from './stores.ts'
export type { TtlDb, TtlDbOptions, TtlDbStores } from './ttldb.ts'
export type { Message } from './xfilter.ts'
