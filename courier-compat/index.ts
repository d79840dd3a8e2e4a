/**
 * The library for filter authors, and the only file of it that filters import.
 *
 *     import { getAuthUser, accept, pass } from 'nodefilter/courier-compat'
 */
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
export { accept, defer, pass, reject } from './reply.ts'

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
export type { Reply, Verdict } from './reply.ts'
export type { SettingSchema, SettingSchemas, SettingTable, SettingValue } from './setting.ts'
export type { SettingsOf } from './setting-value.ts'
