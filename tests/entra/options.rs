//! Endpoints and scopes.

use acs_common::entra::{EntraOptions, EntraOptionsError as Refused};

const HOST: &str = "https://contoso.communication.azure.com";

/// Bites when `trim_end_matches` is left out, or the loopback hosts are compared as text.
#[test]
fn endpoints_that_can_be_used_are_kept_but_for_slashes_at_the_end() {
    for (given, kept) in [
        (HOST, HOST),
        ("https://contoso.communication.azure.com//", HOST),
        ("https://contoso.communication.azure.com:443/", "https://contoso.communication.azure.com:443"),
        ("https://proxy.example/acs/one/", "https://proxy.example/acs/one"),
        ("HTTPS://Contoso.example", "HTTPS://Contoso.example"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.53/", "http://127.0.0.53"),
        ("http://[::1]:1", "http://[::1]:1"),
    ] {
        assert_eq!(EntraOptions::new(given).map(|options| options.endpoint().to_owned()), Ok(kept.to_owned()));
    }
}

/// Bites when `check_endpoint` leaves out the check that the row is about.
#[test]
fn endpoints_that_cannot_be_are_refused_with_what_is_wrong() {
    for (given, wrong) in [
        ("", Refused::EndpointUnreadable),
        ("contoso", Refused::EndpointUnreadable),
        (" https://contoso.example", Refused::EndpointUnreadable),
        ("https://contoso.example/a b", Refused::EndpointUnreadable),
        ("https:contoso.example", Refused::EndpointWithoutHost),
        ("https:///path", Refused::EndpointWithoutHost),
        ("http://contoso.example", Refused::EndpointNotHttps),
        ("http://localhost.example", Refused::EndpointNotHttps),
        ("http://10.0.0.1", Refused::EndpointNotHttps),
        ("ftp://contoso.example", Refused::EndpointNotHttps),
        ("https://contoso.example?x", Refused::EndpointWithQuery),
        ("https://contoso.example/#", Refused::EndpointWithQuery),
        ("https://contoso.example:0", Refused::EndpointPort),
        ("https://contoso.example:65536", Refused::EndpointPort),
        ("https://me:Secret7Word@contoso.example", Refused::EndpointWithUserInfo),
    ] {
        let refused = EntraOptions::new(given).unwrap_err();
        assert_eq!(refused, wrong, "{given}");
        assert!(!format!("{refused} {refused:?}").contains("Secret7Word"), "{refused}");
    }
}

/// Bites when `family` compares with regard to case, or takes a prefix with nothing behind it.
#[test]
fn scopes_are_of_one_family_and_copied() {
    let given = |scopes: &[&str]| EntraOptions::new(HOST).unwrap().with_scopes(scopes.iter().copied());
    for scopes in [
        &["https://communication.azure.com/clients/.default"][..],
        &["https://communication.azure.com/clients/VoIP", "HTTPS://Communication.Azure.COM/clients/Chat"],
        // The government's cloud beside the public one, as the reference lets it be.
        &["https://auth.msft.communication.azure.com/a", "https://auth.msft.communication.azure.us/b"],
    ] {
        assert_eq!(given(scopes).unwrap().scopes(), scopes);
    }
    assert_eq!(EntraOptions::new(HOST).unwrap().scopes(), ["https://communication.azure.com/clients/.default"]);
    assert_eq!(given(&[]).unwrap_err(), Refused::NoScopes);
    for unknown in [
        "",
        "https://communication.azure.com/clients/",
        "https://communication.azure.com/Clients/VoIP",
        "https://communication.azure.com/clients/Vo IP",
        "https://communication.azure.com//.default",
        "https://auth.msft.communication.azure.com/",
        "https://auth.msft.communication.azure.com.evil.example/a",
        "http://communication.azure.com/clients/VoIP",
    ] {
        for scopes in [&[unknown][..], &["https://communication.azure.com/clients/VoIP", unknown]] {
            let refused = given(scopes).unwrap_err();
            assert!(matches!(&refused, Refused::UnknownScope { scope, .. } if scope == unknown), "{refused}");
            assert!(refused.to_string().contains(&format!("{unknown:?}")), "{refused}");
        }
    }
    let mixed = ["https://communication.azure.com/clients/VoIP", "https://auth.msft.communication.azure.us/b"];
    assert!(matches!(given(&mixed).unwrap_err(), Refused::MixedScopes { scope, .. } if scope == mixed[1]));
}
