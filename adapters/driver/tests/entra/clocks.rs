//! A device whose wall clock is wrong from the start (contract, section 7). The test runs itself again as that device, with
//! libfaketime; the service stays in the first process, whose clock is right.

use std::process::{Command, Stdio};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, SourceError};
use acs_common_driver::{Builder, Clock as _, Notice, TokenStatus, wall_clock};

use super::fake_acs::FakeAcs;
use super::fake_clock::fake_clock;
use super::rt;

const NAME: &str = "entra::clocks::a_device_whose_clock_is_wrong_from_the_start_gets_a_token_and_keeps_it";
/// Where the service listens, the right time in seconds, and by how many seconds the device's clock is ahead.
const SERVICE: &str = "WRONG_CLOCK_SERVICE";
const RIGHT: &str = "WRONG_CLOCK_RIGHT";
const AHEAD: &str = "WRONG_CLOCK_AHEAD";
const HOUR: Duration = Duration::from_secs(3_600);
/// Starting a process takes less.
const MINUTE: i64 = 60;
const LOOKS: u32 = 50;

/// The tokens are valid for an hour. Fails when the `Date` of the exchange's response is not used: then the token counts as
/// expired, or as valid for two hours.
#[test]
fn a_device_whose_clock_is_wrong_from_the_start_gets_a_token_and_keeps_it() {
    if let Ok(service) = std::env::var(SERVICE) {
        return device(&service);
    }
    let Some(library) = fake_clock() else { return };
    let devices = [3_600, 3_660, -3_660, 86_400].map(|ahead: i64| {
        let acs = FakeAcs::start_plain().unwrap();
        let device = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .envs([("LD_PRELOAD", library.to_str().unwrap()), ("DONT_FAKE_MONOTONIC", "1")])
            .env("FAKETIME", format!("{ahead:+}"))
            .envs([(SERVICE, acs.endpoint()), (RIGHT, wall_clock::now().as_secs().to_string())])
            .env(AHEAD, ahead.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        (ahead, acs, device.unwrap())
    });
    for (ahead, acs, device) in devices {
        let ended = device.wait_with_output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        let served = format!("{LOOKS} looks were served");
        assert!(ended.status.success() && said[0].contains(&served), "{ahead} s ahead: {}{}", said[0], said[1]);
        assert_eq!(acs.asked(), 1, "{ahead} s ahead");
    }
}

/// What runs in the second process.
fn device(service: &str) {
    let [right, ahead] = [RIGHT, AHEAD].map(|name| std::env::var(name).unwrap().parse::<i64>().unwrap());
    let really = wall_clock::now().as_secs() - right;
    assert!(really.abs_diff(ahead) < MINUTE.unsigned_abs(), "the clock is {really} s ahead");
    let options = EntraOptions::new(service).unwrap().with_prewarm(false);
    rt::run(async {
        let clock = rt::Clock::default();
        let source = |_: EntraTokenRequest| std::future::ready(Ok::<_, SourceError>("the-entra-token"));
        // It needs no TLS, because the service is on this computer.
        let client = rt::client(FakeAcs::start_plain().unwrap().trusting());
        let builder = Builder::with_entra(clock.clone(), options, source, client);
        let credential = builder.refresh_proactively(true).spawn().unwrap();
        let mut notices = credential.notices();
        for _ in 0..LOOKS {
            assert_eq!(credential.get_token().await.unwrap().secret().expose(), "acs-token-1");
            clock.sleep(Duration::from_millis(10)).await;
        }
        let status = credential.status();
        let TokenStatus::Fresh { left, .. } = status.token else { panic!("{status:?}") };
        assert!((HOUR - Duration::from_secs(60)..HOUR + Duration::from_secs(5)).contains(&left), "{left:?}");
        credential.dispose();
        let mut skewed = Vec::new();
        while let Some(notice) = notices.next().await {
            if let Notice::ClockSkewed { by, .. } = notice {
                skewed.push(by / 1_000);
            }
        }
        assert!(matches!(skewed[..], [by] if by.abs_diff(ahead) < MINUTE.unsigned_abs()), "{skewed:?}");
    });
    println!("{LOOKS} looks were served");
}
