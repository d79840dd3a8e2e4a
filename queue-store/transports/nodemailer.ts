/**
 * Ready-made ways to send mail, by nodemailer: to a mail server by SMTP, or through its `sendmail`.
 *
 * Each takes messages as they are: nothing in them is changed but their line ends, where the way wants it.
 * nodemailer is loaded by the first that is sent: most of who uses queues sends nothing.
 */
import type { SMTPPoolOptions, SMTPPoolSentMessageInfo, Transporter } from 'nodemailer'
import { SendRefused, type OutgoingMail, type Send } from '../notices/outgoing.ts'

/** A mail server. */
export interface SmtpOptions {
  /** `localhost`. */
  readonly host?: string
  /** 25, or 465 with `tls = implicit`. */
  readonly port?: number
  /** `implicit`: from the start; `require`: by STARTTLS; `if-offered` (the default); `none`. */
  readonly tls?: 'implicit' | 'require' | 'if-offered' | 'none'
  readonly user?: string | null
  readonly password?: string | null
  /** Our name in EHLO; that of the machine. */
  readonly name?: string | null
  /** Without a sign of life for so long a connection is given up; 300. */
  readonly timeoutSeconds?: number
}

/** The program of a mail server. */
export interface SendmailOptions {
  /** `sendmail`, wherever it is found. */
  readonly path?: string
  /** Further arguments, before the recipients. */
  readonly args?: readonly string[]
}

/** A way to send, which may hold connections open. */
export interface Transport {
  readonly send: Send
  readonly close: () => void
}

/**
 * Sends by SMTP, over connections that are used again.
 *
 * Errors of `send`: SendRefused where the server answers MAIL, RCPT or DATA with 5xx, or refuses some of several recipients (the
 *         others have got it). All else may go well later, a wrong password and a bad certificate among them.
 */
export function smtpTransport(options: SmtpOptions = {}): Transport {
  const { host = 'localhost', tls = 'if-offered', user = null, password = null, name = null } = options
  const timeoutMs = 1000 * (options.timeoutSeconds ?? 300)
  const settings: SMTPPoolOptions & { pool: true } = {
    ...{ pool: true, host, port: options.port ?? (tls === 'implicit' ? 465 : 25) },
    ...{ secure: tls === 'implicit', requireTLS: tls === 'require', ignoreTLS: tls === 'none' },
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs },
    ...(user === null ? {} : { auth: { user, pass: password ?? '' } }),
    ...(name === null ? {} : { name }),
  }
  let transporter: Promise<Transporter<SMTPPoolSentMessageInfo, SMTPPoolOptions>> | null = null
  let isClosed = false
  const open = async () => (await import('nodemailer')).createTransport(settings)
  return {
    send: async (mail) => {
      if (isClosed) throw new Error('this transport was closed')
      let rejected: readonly unknown[]
      try {
        transporter ??= open()
        ;({ rejected } = await (await transporter).sendMail(asNodemailer(mail)))
      } catch (error) {
        throw isRefusal(error) ? new SendRefused((error as Error).message, { cause: error }) : error
      }
      if (rejected.length > 0) throw new SendRefused(`the server refused ${rejected.map(String).join(', ')}`)
    },
    close: () => {
      isClosed = true
      void transporter?.then(
        (opened) => opened.close(),
        () => undefined,
      )
    },
  }
}

/**
 * Sends through a `sendmail` program: that of Courier, Postfix, Exim or Sendmail.
 *
 * Errors of `send`: SendRefused for an address that begins with a dash, which such a program would take for an option.
 *         Whatever the program says by its exit code may go well later.
 */
export function sendmailTransport({ path = 'sendmail', args = [] }: SendmailOptions = {}): Transport {
  return {
    send: async (mail) => {
      if ([mail.from ?? '', ...mail.to].some((address) => /^"?-/.test(address))) {
        throw new SendRefused('an address that begins with a dash is not handed to a program')
      }
      // Its arguments belong to the transport, and the sender is one of them: an empty one is left out otherwise.
      const arguments_ = ['-f', mail.from ?? '', ...args]
      const { createTransport } = await import('nodemailer')
      const transporter = createTransport({ sendmail: true, path, newline: 'unix', args: arguments_ })
      await transporter.sendMail(asNodemailer(mail))
    },
    close: () => undefined,
  }
}

function asNodemailer({ from, to, message }: OutgoingMail) {
  // Nothing of the message is read or fetched but its octets.
  const closed = { disableFileAccess: true, disableUrlAccess: true }
  return { ...closed, envelope: { from: from ?? '', to: [...to] }, raw: message }
}

/** What the server said about this very mail. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { responseCode, command } = error as { readonly responseCode?: unknown; readonly command?: unknown }
  const isAboutMail = typeof command === 'string' && ['MAIL FROM', 'RCPT TO', 'DATA'].includes(command)
  return isAboutMail && typeof responseCode === 'number' && responseCode >= 500 && responseCode < 600
}
