//! A complete refresh on a target without an operating system. `cargo build --manifest-path tests/no_std/Cargo.toml`
//! fails with E0152 (a second panic handler) if std is linked.
#![no_std]

use acs_common::call::Call;
use acs_common::entra::{EntraOptions, Exchange};
use acs_common::{Action, Event, Machine, Monotonic, NewToken, Now, Policy, UnixTime};

#[global_allocator]
static ALLOCATOR: emballoc::Allocator<65_536> = emballoc::Allocator::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Whether the refresh gives a token.
pub extern "C" fn refresh(millis: u64) -> bool {
    let now = Now::new(Monotonic::from_millis(millis), UnixTime::from_secs(1_700_000_000));
    let Ok(mut machine) = Machine::new(None, Policy::default(), now) else { return false };
    machine.handle(Event::TokenRequested { waiter: 1_u8 }, now);
    while let Some(action) = machine.poll_action() {
        if let Action::CallRefresher { request, .. } = action {
            let token = NewToken::new("h.eyJleHAiOjE3MDAwMDM2MDB9.s");
            machine.handle(Event::TokenReceived { request, token }, now);
        }
    }
    let Ok(options) = EntraOptions::new("https://contoso.communication.azure.com") else { return false };
    let mut exchange = Exchange::new(options, machine.policy(), millis);
    let mut call = Call::with_token(true);
    machine.token(now).is_some() && exchange.poll_action().is_some() && call.poll_action().is_some()
}
