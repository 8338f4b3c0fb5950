//! Deaths of processes as they read the store's index: by SIGBUS where its file, which is mapped, has nothing any more or the
//! disk is damaged; by SIGSEGV or SIGABRT where what is in it led astray. They are counted in shared memory; nothing is
//! saved from them.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, OnceLock};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::clock;
use super::shared::Shared;

static SHARED: OnceLock<Arc<Shared>> = OnceLock::new();

thread_local! {
    /// The uses of the index that this thread is in.
    static USES: Cell<u32> = const { Cell::new(0) };
}

/// A use of the index by this thread, as long as this lives.
pub struct InUse(());

impl InUse {
    /// Begins one.
    pub fn begin() -> InUse {
        USES.set(USES.get() + 1);
        InUse(())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        USES.set(USES.get() - 1);
    }
}

/// Has this process's death in a use of the index noted here. The first who asks for it is the one who is told.
pub fn count(shared: &Arc<Shared>) -> io::Result<()> {
    if SHARED.set(shared.clone()).is_err() {
        return Ok(());
    }
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESETHAND | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_fault), flags, SigSet::empty());
    for signal in [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGABRT] {
        // SAFETY: the handler does what a handler may: it reads a clock and a variable of its thread that needs no
        // making, stores atomics in memory that stays mapped, as SHARED has it for good, and raises a signal.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if USES.get() > 0 {
        if let Some(shared) = SHARED.get() {
            shared.note_index_fault(clock::since_boot());
        }
    }
    // SAFETY: async-signal-safe. It is blocked until the handler returns, and then does what it does by default.
    let _ = unsafe { libc::raise(signal) };
}
