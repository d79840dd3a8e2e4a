/** Notices to the authors of messages, and the outbox from which mail is sent. */
export { silences, type Silence } from './answerable.ts'
export {
  openNotices,
  type BounceOptions,
  type Drafted,
  type HeldMessage,
  type NoticeOptions,
  type Notices,
} from './notices.ts'
export {
  openOutbox,
  outboxEntry,
  outboxName,
  sendOutbox,
  type OutboxEntry,
  type OutboxOptions,
  type OutboxReport,
} from './outbox.ts'
export { SendRefused, type OutgoingMail, type Send } from './outgoing.ts'
export { noticeLanguages, type NoticeFacts, type NoticeLanguage, type NoticeTexts } from './texts.ts'
