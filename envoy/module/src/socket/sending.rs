//! What waits to be sent, on its way to the kernel.

use std::io::{IoSlice, Write as _};

use super::Socket;
use super::host::{Host, Io, Sink};

impl Socket {
    /// `Done(0)` when all is with the kernel. Plaintext is drained only then, so that Envoy's
    /// watermarks and its flush before a close count what is really unsent.
    pub(super) fn write_all(&self, host: &dyn Host, total: &mut usize) -> Io {
        loop {
            // What waits already, such as tickets, goes out together with what is encrypted now.
            let waited = self.tls.borrow().wants_write();
            if self.in_flight.get() == 0 && self.may_send() {
                let encrypted = host.pending(&mut |slices| self.encrypt(slices));
                self.in_flight.set(encrypted);
            }
            match self.flush(host) {
                Io::Done(_) => {}
                stopped => return stopped,
            }
            let sent = self.in_flight.take();
            if sent == 0 && !waited {
                return Io::Done(0);
            }
            host.drain(sent);
            *total += sent;
        }
    }

    fn may_send(&self) -> bool {
        self.established.get() && !self.sent_close_notify.get()
    }

    fn encrypt(&self, slices: &[IoSlice<'_>]) -> usize {
        // Never an error: rustls takes what fits its buffer. If that is nothing, then what fills it
        // goes out, and this is called again.
        self.tls
            .borrow_mut()
            .writer()
            .write_vectored(slices)
            .unwrap_or(0)
    }

    /// Hands ciphertext to the kernel: `Done` when none is left.
    pub(super) fn flush(&self, host: &dyn Host) -> Io {
        let mut tls = self.tls.borrow_mut();
        let mut sink = Sink::new(host);
        while tls.wants_write() {
            if tls.write_tls(&mut sink).is_err() {
                break;
            }
        }
        sink.stopped()
    }

    pub(super) fn send_close_notify(&self, host: &dyn Host) {
        if !self.sent_close_notify.replace(true) {
            self.tls.borrow_mut().send_close_notify();
        }
        self.flush(host);
    }
}
