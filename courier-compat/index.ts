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
export { readHeaderSection } from './shared-reading.ts'
export { fieldsNamed, parseHeaderSection } from './header-section.ts'
export { applyModuleConfig, getModuleConfig } from './module-config/module-values.ts'
export { ModuleConfigError } from './module-config/problem.ts'
export { accept, defer, pass, reject } from './reply.ts'
export { DummyXFilter, InitError, parseMessage, XFilter } from './xfilter.ts'

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
  FilterModule,
  FilterReply,
  FilterSetup,
  InitFilter,
  OnError,
  Recipient,
} from './filter.ts'
export type { HeaderEdit, NewValue, ValueOptions } from './header-edit.ts'
export type { HeaderField, HeaderLimits, HeaderLine, HeaderSection } from './header-section.ts'
export type { ModuleValue } from './module-config/module-values.ts'
export type { ModuleProblem } from './module-config/problem.ts'
export type { Reply, Verdict } from './reply.ts'
export type { SettingSchema, SettingSchemas, SettingTable, SettingValue } from './setting.ts'
export type { SettingsOf } from './setting-value.ts'
export type { Message } from './xfilter.ts'
